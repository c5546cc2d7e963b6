import { hostsOfAll, isReached } from "../../server/block-device.ts"
import type { Filter } from "./filter.ts"

/** Always asked, also of a host that an administrator named: from elsewhere its volumes cannot be reached. */
export const volumeHostFilter: Filter = {
  name: "VolumeHost",
  isAsked: ({ volumeHosts }) => volumeHosts.length > 0,
  narrow: ({ volumeHosts }) => ({ hosts: hostsOfAll(volumeHosts) }),
  refuse: ({ name }, { volumeHosts }) => {
    const away = volumeHosts.find((one) => !isReached(one, name))
    if (!away) return null
    return {
      why:
        hostsOfAll(volumeHosts).length === 0
          ? `volumes of the server lie on several hosts: ${volumeHosts.map(({ host }) => host).join(", ")}`
          : `a volume of the server lies on ${away.host}, and its back end cannot be reached from here`,
      fix: null,
      forUser: "a volume of the server cannot be reached from every host",
    }
  },
}
