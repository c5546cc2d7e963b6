import type { Filter } from "./filter.ts"

/** Always asked: a host on which this server could not be built is not tried again. */
export const triedHostFilter: Filter = {
  name: "RetryFilter",
  isAsked: ({ excludedHosts }) => excludedHosts.length > 0,
  narrow: ({ excludedHosts }) => ({ notHosts: excludedHosts }),
  refuse: (host, { excludedHosts }) =>
    excludedHosts.includes(host.name)
      ? { why: "it was tried already", fix: "find out why the server could not be built there" }
      : null,
}
