// Many servers go to another host at a time.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { Agent } from "../src/agent/agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let agent: Agent

before(async () => {
  c = await startServerCloud({
    capacity: { vcpus: 64, ramMib: 8_192, diskGib: 1_000 },
    // As many as there are migrations under way; with the default of 64 that takes a host's worth of servers.
    overrides: { "engine.sagaConcurrency": 1, "compute.liveMigration.atOncePerHost": 0 },
  })
  agent = (await openOtherHost(c.cloud.cloud.platform)).agent
})
after(() => c[Symbol.asyncDispose]())

const copyMs = 6_000

test("a guest that is whole on the other host does not wait for other migrations to go on", async () => {
  const how = { token: c.admin, version: "2.90" }
  await closeOtherHost(c.cloud.cloud.platform)
  const ids = [await c.create(), await c.create(), await c.create()]
  for (const id of ids) await c.reaches(id, "ACTIVE")
  await openOtherHost(c.cloud.cloud.platform)
  c.cloud.hypervisor.setControl({ copyMs })
  for (const id of ids) await c.act(id, { "os-migrateLive": { host: null, block_migration: "auto" } }, how)
  const [first] = ids
  const power = async () =>
    (await agent.handle("vm.list", {})).find(({ serverId }) => ids.includes(serverId))?.state.power
  await eventually("one of them to be whole there", async () => (await power()) === "paused", {
    timeoutMs: 60_000,
  })
  const halted = performance.now()
  await eventually("it to go on", async () => (await power()) === "running", { timeoutMs: 120_000 })
  const ms = Math.round(performance.now() - halted)
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  for (const id of ids) await c.call("DELETE", `/servers/${id}`, undefined, how)
  for (const id of ids) await c.isGone(id)
  assert.ok(first)
  assert.ok(ms < copyMs / 2, `it stood still for ${ms} ms, while others were copied on ${otherHost}`)
})
