import { freeOf } from "../host-state.ts"
import type { Weigher } from "./weigher.ts"

/** Free virtual CPUs. */
export const cpuWeigher: Weigher = {
  name: "CPUWeigher",
  multiplierKey: "cpu_weight_multiplier",
  multiplier: (options) => options.cpuWeightMultiplier,
  valueOf: (host) => freeOf(host, "VCPU"),
}
