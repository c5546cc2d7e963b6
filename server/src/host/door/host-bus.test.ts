import assert from "node:assert/strict"
import { test } from "node:test"
import { agentReportTopic } from "../../agent/protocol.ts"
import { createMemoryBus } from "../../platform/bus/memory-bus.ts"
import { busOfHost } from "./host-bus.ts"

test("a host that reports too often is refused", async () => {
  await using bus = createMemoryBus()
  const own = busOfHost(bus, "host1", "192.0.2.1")
  // Without a wire in between, so that they come at once on a busy machine, too.
  const flood = Array.from({ length: 5_000 }, () => own.publish(agentReportTopic, "hello"))
  const codes = await Promise.all(flood.map((each) => each.then(String, ({ code }) => code)))
  assert.equal(codes[0], "host.member.may_not")
  assert.equal(codes.at(-1), "host.member.too_often")
})
