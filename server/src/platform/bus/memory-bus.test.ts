import { busContract } from "./bus.contract.ts"
import { createMemoryBus } from "./memory-bus.ts"

busContract("memory", async () => {
  const bus = createMemoryBus()
  return { near: bus, far: bus, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() }
})
