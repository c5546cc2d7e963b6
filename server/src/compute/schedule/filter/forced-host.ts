import { hostDown } from "./compute.ts"
import type { Filter } from "./filter.ts"

/**
 * Always asked: an administrator's own choice of a host. It counts more than the rest of the request, but makes
 * nothing on a host that is down.
 */
export const forcedHostFilter: Filter = {
  name: "RequestedHost",
  isAsked: ({ forcedHost }) => forcedHost !== null,
  narrow: ({ forcedHost }) => (forcedHost === null ? {} : { hosts: [forcedHost] }),
  refuse: (host, { forcedHost }) => {
    if (host.name !== forcedHost)
      return { why: "it is not the host asked for", fix: "ask for this host, or for none" }
    return host.isUp ? null : { ...hostDown, forUser: "the host asked for is down" }
  },
}
