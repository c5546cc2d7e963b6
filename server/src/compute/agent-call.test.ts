import assert from "node:assert/strict"
import { test } from "node:test"
import { createMemoryBus } from "../platform/bus/memory-bus.ts"
import type { Platform } from "../platform/context/context.ts"
import { describeError, Fault } from "../platform/fault/fault.ts"
import { callAgent } from "./agent-call.ts"

test("a host that does not answer is not named to the user, but to the log", async () => {
  await using bus = createMemoryBus()
  const platform = { bus } as unknown as Platform // nothing else is asked for
  const call = callAgent(platform, "secret-host", "vm.inspect", { serverId: "s" }, { timeoutMs: 100 })
  const fault = await call.catch((error: unknown) => error)
  assert.ok(fault instanceof Fault)
  assert.equal(fault.kind, "unavailable")
  assert.equal(fault.code, "bus.no_server")
  assert.doesNotMatch(fault.message, /secret-host/)
  assert.match(describeError(fault), /secret-host/)
})
