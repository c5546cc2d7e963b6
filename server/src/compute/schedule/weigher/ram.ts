import { freeOf } from "../host-state.ts"
import type { Weigher } from "./weigher.ts"

/** Free memory. */
export const ramWeigher: Weigher = {
  name: "RAMWeigher",
  multiplierKey: "ram_weight_multiplier",
  multiplier: (options) => options.ramWeightMultiplier,
  valueOf: (host) => freeOf(host, "MEMORY_MB"),
}
