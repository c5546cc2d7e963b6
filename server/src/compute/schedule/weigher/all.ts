// Every weigher. One whose multiplier is 0 weighs nothing.
import { buildFailureWeigher } from "./build-failure.ts"
import { cpuWeigher } from "./cpu.ts"
import { diskWeigher } from "./disk.ts"
import { ioOpsWeigher } from "./io-ops.ts"
import { numInstancesWeigher } from "./num-instances.ts"
import { ramWeigher } from "./ram.ts"
import { softAffinityWeigher } from "./soft-affinity.ts"
import { softAntiAffinityWeigher } from "./soft-anti-affinity.ts"
import type { Weigher } from "./weigher.ts"

export const allWeighers: readonly Weigher[] = [
  ramWeigher,
  cpuWeigher,
  diskWeigher,
  ioOpsWeigher,
  numInstancesWeigher,
  buildFailureWeigher,
  softAffinityWeigher,
  softAntiAffinityWeigher,
]
