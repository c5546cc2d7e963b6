import type { ScheduleRequest } from "../request.ts"
import type { Filter } from "./filter.ts"

const why = "the server group wants its servers on different hosts"

/** At most `max_server_per_host` members of the group on one host; one, where the group has no such rule. */
export const serverGroupAntiAffinityFilter: Filter = {
  name: "ServerGroupAntiAffinityFilter",
  isAsked: ({ group }) => group?.policy === "anti-affinity",
  narrow: (request) => ({ notHosts: fullHosts(request) }),
  refuse: (host, { group }) => {
    const here = group?.members.get(host.name) ?? 0
    if (group === null || here < group.maxPerHost) return null
    return {
      why: `${why}: ${here} of at most ${group.maxPerHost} are here`,
      fix: "create it outside of the server group, or in one with a larger max_server_per_host",
      missing: { what: "servers of the group", wanted: here + 1, has: group.maxPerHost },
      forUser: why,
    }
  },
}

function fullHosts({ group }: ScheduleRequest): string[] {
  if (group === null) return []
  return [...group.members].filter(([, here]) => here >= group.maxPerHost).map(([host]) => host)
}
