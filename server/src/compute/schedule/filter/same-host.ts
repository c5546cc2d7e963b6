import type { Filter } from "./filter.ts"

/** Hint `same_host`: where one of these servers is. */
export const sameHostFilter: Filter = {
  name: "SameHostFilter",
  isAsked: ({ sameHosts }) => sameHosts !== null,
  narrow: ({ sameHosts }) => (sameHosts === null ? {} : { hosts: sameHosts }),
  refuse: (host, { sameHosts }) =>
    sameHosts === null || sameHosts.includes(host.name)
      ? null
      : {
          why: "same_host names another host",
          fix: "leave the hint same_host out",
          forUser: "same_host names another host",
        },
}
