import type { Weigher } from "./weigher.ts"

/** Servers that something is being done with. */
export const ioOpsWeigher: Weigher = {
  name: "IoOpsWeigher",
  needs: ["ioOps"],
  multiplierKey: "io_ops_weight_multiplier",
  multiplier: (options) => options.ioOpsWeightMultiplier,
  valueOf: (host) => host.ioOps,
}
