import type { Filter } from "./filter.ts"

const why = "the server group wants all its servers on another host"

/** Beside the members that the group has; the first one may go anywhere. */
export const serverGroupAffinityFilter: Filter = {
  name: "ServerGroupAffinityFilter",
  isAsked: ({ group }) => group?.policy === "affinity" && group.members.size > 0,
  narrow: ({ group }) => ({ hosts: [...(group?.members.keys() ?? [])] }),
  refuse: (host, { group }) =>
    group?.members.has(host.name)
      ? null
      : { why, fix: "create it outside of the server group", forUser: why },
}
