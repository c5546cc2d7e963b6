// Many servers go to another host at a time.
import { after, before, test } from "node:test"
import type { Agent } from "../src/agent/agent.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { closeOtherHost, openOtherHost } from "./other-host.ts"
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

test("a guest that is whole on the other host does not wait for other migrations to go on", async () => {
  const how = { token: c.admin, version: "2.90" }
  await closeOtherHost(c.cloud.cloud.platform)
  const ids = [await c.create(), await c.create(), await c.create()]
  for (const id of ids) await c.reaches(id, "ACTIVE")
  await openOtherHost(c.cloud.cloud.platform)
  c.cloud.hypervisor.setControl({ copyMs: 600_000 })
  const nextOnTheWay = async () => {
    for (const serverId of ids)
      if (await c.cloud.hypervisor.liveProgress({ serverId, driver: "fake" })) return serverId
    return null
  }
  for (const id of ids) await c.act(id, { "os-migrateLive": { host: null, block_migration: "auto" } }, how)
  const first = await eventually("one of them to be on the way", nextOnTheWay)
  await c.cloud.hypervisor.hurryLive({ serverId: first, driver: "fake" })
  const isOn = async () =>
    (await agent.handle("vm.list", {})).find(({ serverId }) => serverId === first)?.state.power
  await eventually("it to go on", async () => (await isOn()) === "running")
  await eventually("another to be on the way", nextOnTheWay)
  c.cloud.hypervisor.setControl({ copyMs: 0 })
  for (const id of ids) await c.call("DELETE", `/servers/${id}`, undefined, how)
  for (const id of ids) await c.isGone(id)
})
