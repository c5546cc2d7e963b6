import type { ScheduleRequest } from "../request.ts"
import type { Filter } from "./filter.ts"

const usual = new Set(["VCPU", "MEMORY_MB", "DISK_GB"])

/** Resource classes that few servers ask for: processors of their own, classes of an operator. */
export const askedResourcesFilter: Filter = {
  name: "AskedResources",
  needs: ["otherRooms"],
  isAsked: (request) => wantedOf(request).length > 0 || request.hardware.isApart,
  refuse: ({ rooms }, request) => {
    if (request.hardware.isApart)
      return {
        why: "the flavor wants groups of resources from several providers (group_policy isolate), and a host is one",
        fix: "the flavor's extra spec group_policy = none",
        forUser: "it does not have the flavor's groups of resources apart from each other",
      }
    for (const [name, wanted] of wantedOf(request)) {
      const room = rooms[name]
      const has = room ? Math.max(0, Math.min(room.maxUnit, room.capacity - room.used)) : 0
      if (wanted <= has) continue
      return {
        why: room
          ? `${has} ${name} are free of ${room.capacity}, and ${wanted} are asked for`
          : `it has no ${name}`,
        fix: room ? `free ${wanted - has} ${name} there` : fixOf(name),
        missing: { what: name, wanted, has },
        forUser: `it has not ${wanted} ${name} free`,
      }
    }
    return null
  },
}

function wantedOf({ resources }: ScheduleRequest): [string, number][] {
  return Object.entries(resources).filter(([name, amount]) => !usual.has(name) && amount > 0)
}

function fixOf(name: string): string | null {
  return name === "PCPU" ? "agent.cpuDedicatedSet in the host's configuration" : null
}
