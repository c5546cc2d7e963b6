import type { Weigher } from "./weigher.ts"

/** Builds that failed there since the last one that did not; the multiplier is how much they speak against it. */
export const buildFailureWeigher: Weigher = {
  name: "BuildFailureWeigher",
  multiplierKey: "build_failure_weight_multiplier",
  multiplier: (options) => options.buildFailureWeightMultiplier,
  valueOf: (host) => -host.failedBuilds,
}
