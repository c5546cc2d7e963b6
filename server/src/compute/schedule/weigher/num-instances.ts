import type { Weigher } from "./weigher.ts"

/** Servers of the host. */
export const numInstancesWeigher: Weigher = {
  name: "NumInstancesWeigher",
  needs: ["instances"],
  multiplierKey: "num_instances_weight_multiplier",
  multiplier: (options) => options.numInstancesWeightMultiplier,
  valueOf: (host) => host.instances,
}
