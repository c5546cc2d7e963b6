import { freeOf } from "../host-state.ts"
import type { Weigher } from "./weigher.ts"

/** Free disk. */
export const diskWeigher: Weigher = {
  name: "DiskWeigher",
  multiplierKey: "disk_weight_multiplier",
  multiplier: (options) => options.diskWeightMultiplier,
  valueOf: (host) => freeOf(host, "DISK_GB"),
}
