import type { Filter } from "./filter.ts"

/** Always asked, also of a host that an administrator named: from elsewhere its volumes cannot be reached. */
export const volumeHostFilter: Filter = {
  name: "VolumeHost",
  isAsked: ({ volumeHosts }) => volumeHosts.length > 0,
  // Volumes of several hosts come to none.
  narrow: ({ volumeHosts }) => ({ hosts: volumeHosts.length === 1 ? volumeHosts : [] }),
  refuse: ({ name }, { volumeHosts }) => {
    if (volumeHosts.every((host) => host === name)) return null
    const [host, ...others] = volumeHosts
    return {
      why:
        others.length > 0
          ? `volumes of the server lie on several hosts: ${volumeHosts.join(", ")}`
          : `a volume of the server lies on ${host}, and its back end cannot be reached from here`,
      fix: null,
      forUser: "a volume of the server cannot be reached from every host",
    }
  },
}
