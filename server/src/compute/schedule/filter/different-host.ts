import type { Filter } from "./filter.ts"

/** Hint `different_host`: where none of these servers is. */
export const differentHostFilter: Filter = {
  name: "DifferentHostFilter",
  isAsked: ({ differentHosts }) => differentHosts.length > 0,
  narrow: ({ differentHosts }) => ({ notHosts: differentHosts }),
  refuse: (host, { differentHosts }) =>
    differentHosts.includes(host.name)
      ? {
          why: "different_host names a server on it",
          fix: "leave the hint different_host out",
          forUser: "different_host names a server on it",
        }
      : null,
}
