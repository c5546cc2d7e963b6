import type { Filter } from "./filter.ts"

/** Always asked: an administrator's own choice of a host. It counts more than the rest of the request. */
export const forcedHostFilter: Filter = {
  name: "RequestedHost",
  isAsked: ({ forcedHost }) => forcedHost !== null,
  narrow: ({ forcedHost }) => (forcedHost === null ? {} : { hosts: [forcedHost] }),
  refuse: (host, { forcedHost }) =>
    host.name === forcedHost
      ? null
      : { why: "it is not the host asked for", fix: "ask for this host, or for none" },
}
