import type { Weigher } from "./weigher.ts"

/** Members of the server's group there. */
export const softAffinityWeigher: Weigher = {
  name: "ServerGroupSoftAffinityWeigher",
  multiplierKey: "soft_affinity_weight_multiplier",
  multiplier: (options) => options.softAffinityWeightMultiplier,
  isAsked: ({ group }) => group?.policy === "soft-affinity",
  valueOf: (host, { group }) => group?.members.get(host.name) ?? 0,
}
