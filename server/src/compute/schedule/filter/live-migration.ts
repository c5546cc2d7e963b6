import type { HostDescription } from "../../../agent/protocol.ts"
import type { Filter } from "./filter.ts"

/** For a server that runs: a host on which its guest finds the processor and the machine that it knows. */
export const liveMigrationFilter: Filter = {
  name: "LiveMigrationFilter",
  needs: ["description"],
  isAsked: ({ runsOn }) => runsOn !== null,
  refuse: ({ description: to }, { runsOn: from }) => {
    const why = from === null || to === null ? "it has not said what it is" : differenceOf(from, to)
    if (why === null) return null
    const fix = "migrate the server while it is off: openstack server migrate"
    return { why, fix, forUser: "its guest cannot go on there" }
  },
}

/** Null: a guest of the one goes on on the other. */
function differenceOf(from: HostDescription, to: HostDescription): string | null {
  if (!from.abilities.liveMigration || !to.abilities.liveMigration)
    return "guests there do not move while they run"
  if (from.hypervisorType !== to.hypervisorType)
    return `its hypervisor is ${to.hypervisorType}, and the guest's is ${from.hypervisorType}`
  if (to.hypervisorVersion < from.hypervisorVersion)
    return "its hypervisor is older than the one that the guest runs on"
  const { accelerator } = from.abilities
  if (to.abilities.accelerator !== accelerator)
    return `it runs guests by ${to.abilities.accelerator}, and this one runs by ${accelerator}`
  // What tcg makes is the same everywhere.
  if (accelerator !== "kvm") return null
  if (to.cpuInfo.vendor !== from.cpuInfo.vendor) return `its processor is from ${to.cpuInfo.vendor}`
  const missing = from.cpuInfo.features.filter((one) => !to.cpuInfo.features.includes(one))
  return missing.length === 0 ? null : `its processor has not ${missing.slice(0, 5).join(", ")}`
}
