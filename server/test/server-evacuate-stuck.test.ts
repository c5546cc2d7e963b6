// Servers that were on their way already when their host was lost: an operator resets their state, and evacuates them.
// What is left of the first move must not touch what the second has made of it.
import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, test } from "node:test"
import { sql } from "kysely"
import { eventually } from "../src/platform/clock/clock.ts"
import { EvacuateCloud } from "./evacuate-cloud.ts"

let e: EvacuateCloud
before(async () => {
  e = await EvacuateCloud.start()
})
after(() => e?.[Symbol.asyncDispose]())
beforeEach(() => e.restore())
afterEach(() => e.empty())

/** It goes from the host that is lost to the near one, and is there for ever. */
async function liveUnderWay(): Promise<string> {
  const id = await e.serverOn(e.lost)
  e.lost.hypervisor.setControl({ copyMs: 600_000 })
  await e.act(id, { "os-migrateLive": { host: e.near.name, block_migration: "auto" } })
  const path = `/compute/v2.1/servers/${id}/migrations`
  await eventually(
    "its memory to be on the way",
    async () => (await e.ok("GET", path)).migrations[0]?.memory_total_bytes > 0,
  )
  return id
}

async function reset(id: string): Promise<void> {
  assert.equal((await e.act(id, { "os-resetState": { state: "active" } })).status, 202)
}

/** What its hypervisor is told to let run from now on. */
function startsAt({ hypervisor }: typeof e.lost): string[] {
  const started: string[] = []
  const setPower = hypervisor.setPower.bind(hypervisor)
  hypervisor.setPower = async (handle, to) => {
    if (to === "running") started.push(handle.serverId)
    return await setPower(handle, to)
  }
  return started
}

test("a guest that was halted on its way when its host was lost does not go on there, as it runs elsewhere", async () => {
  const id = await liveUnderWay()
  await e.lost.cut()
  await e.isDown(e.lost)
  await reset(id)
  assert.equal((await e.evacuate(id, { host: e.spare.name })).status, 200)
  await e.c.reaches(id, "ACTIVE")
  assert.equal(await e.hostOf(id), e.spare.name)
  // As QEMU does at the end of a migration: nobody there has heard what became of it.
  await e.lost.hypervisor.setPower({ serverId: id, driver: "fake" }, "paused")
  const started = startsAt(e.lost)
  await e.lost.mend()
  await e.isLeft(id)
  await e.sagasAreOver(id)
  assert.deepEqual(started, [])
  assert.deepEqual(
    [await e.lost.powers([id]), await e.near.powers([id]), await e.spare.powers([id])],
    [["none"], ["none"], ["running"]],
  )
  assert.deepEqual(await e.roomOf(id), { [e.spare.name]: 128 })
})

test("the room of a server that is evacuated out of another move is where it is, whenever the first one ends", async () => {
  const id = await liveUnderWay()
  await e.lost.cut()
  await e.isDown(e.lost)
  await reset(id)
  e.spare.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 1_000 } })
  await e.evacuate(id, { host: e.spare.name })
  await e.c.reaches(id, "ERROR")
  e.spare.hypervisor.setControl({ fail: null })
  assert.deepEqual([await e.hostOf(id), await e.roomOf(id)], [e.lost.name, { [e.lost.name]: 128 }])
  // The first one gives up while the second is on its way.
  e.spare.hypervisor.setControl({ delayMs: 600_000 })
  await e.evacuate(id, { host: e.spare.name })
  await eventually("it to be on its way", () => e.spare.hypervisor.underWay > 0)
  assert.equal(await e.hostOf(id), e.spare.name)
  e.lost.hypervisor.setControl({ copyMs: 0 })
  await e.lost.mend()
  await eventually("the first one to be over", async () => {
    const { rows } = await sql<{ name: string; state: string }>`select name, state from engine.saga
      where resource_id = ${id}`.execute(e.platform.db)
    return rows.every(
      ({ name, state }) => !name.includes("live") || !["running", "unwinding"].includes(state),
    )
  })
  e.spare.hypervisor.setControl({ delayMs: 0 })
  await e.c.reaches(id, "ACTIVE")
  await e.isLeft(id)
  await e.sagasAreOver(id)
  assert.deepEqual(await e.roomOf(id), { [e.spare.name]: 128 })
})

test("what is left of a move while it was off goes as well, once its host is back", async () => {
  const id = await e.serverOn(e.lost)
  e.lost.hypervisor.setControl({ delayMs: 600_000 })
  await e.act(id, { migrate: { host: e.near.name } })
  await eventually("it to be on its way", async () => {
    return (await e.show(id))["OS-EXT-STS:task_state"] === "resize_migrating"
  })
  await e.lost.cut()
  await e.isDown(e.lost)
  await reset(id)
  assert.equal((await e.evacuate(id, { host: e.spare.name })).status, 200)
  await e.c.reaches(id, "ACTIVE")
  e.lost.hypervisor.setControl({ delayMs: 0 })
  await e.lost.mend()
  await e.isLeft(id)
  await e.sagasAreOver(id)
  assert.deepEqual(await e.lost.powers([id]), ["none"])
  assert.deepEqual(await e.roomOf(id), { [e.spare.name]: 128 })
})
