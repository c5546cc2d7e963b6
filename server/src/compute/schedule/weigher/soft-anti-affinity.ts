import type { Weigher } from "./weigher.ts"

/** Members of the server's group elsewhere. */
export const softAntiAffinityWeigher: Weigher = {
  name: "ServerGroupSoftAntiAffinityWeigher",
  multiplierKey: "soft_anti_affinity_weight_multiplier",
  multiplier: (options) => options.softAntiAffinityWeightMultiplier,
  isAsked: ({ group }) => group?.policy === "soft-anti-affinity",
  valueOf: (host, { group }) => -(group?.members.get(host.name) ?? 0),
}
