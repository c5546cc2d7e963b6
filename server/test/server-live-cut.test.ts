// The commands' way to one of two hosts is cut for a while in a live migration, so that what is under way is not
// answered although it is done: the guest runs on exactly one of them in the end, as the rows say.
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
afterEach(async () => {
  e.lost.hypervisor.setControl({ copyMs: 0 })
  await e.empty()
})

/** Its memory is on the way until it is said to take less time. */
async function liveUnderWay(): Promise<string> {
  const id = await e.serverOn(e.lost)
  e.lost.hypervisor.setControl({ copyMs: 600_000 })
  await e.act(id, { "os-migrateLive": { host: e.near.name, block_migration: "auto" } })
  const path = `/compute/v2.1/servers/${id}/migrations`
  await eventually("its memory to be on the way", async () => {
    return (await e.ok("GET", path)).migrations[0]?.memory_total_bytes > 0
  })
  return id
}

/** When the first sending has come to its end, whole or broken off. Before anybody is told so, `act` is called. */
function sent(act: () => void): Promise<void> {
  const { hypervisor } = e.lost
  const { sendLive } = hypervisor
  return new Promise((done) => {
    hypervisor.sendLive = async (...asked) => {
      hypervisor.sendLive = sendLive
      try {
        return await sendLive(...asked)
      } finally {
        act()
        done()
      }
    }
  })
}

async function isGivenUp(id: string): Promise<void> {
  await eventually("the migration to be given up", async () => {
    const { rows } = await sql<{ state: string }>`select state from engine.saga
      where resource_id = ${id} and name = 'compute.server.live_migrate'`.execute(e.platform.db)
    return rows.some(({ state }) => state !== "running")
  })
}

const cuts = [
  { when: "in the middle, until it is given up", isAtEnd: false, isLong: true },
  { when: "at its end, until it is given up", isAtEnd: true, isLong: true },
  { when: "at its end, for a moment", isAtEnd: true, isLong: false },
]

for (const side of ["lost", "near"] as const)
  for (const { when, isAtEnd, isLong } of cuts)
    test(`cut from the host ${side === "lost" ? "that it leaves" : "to which it goes"} ${when}`, async (t) => {
      const end = sent(() => {
        if (isAtEnd) e[side].unplug()
      })
      const id = await liveUnderWay()
      if (!isAtEnd) e[side].unplug()
      // What was under way gets to its end there.
      e.lost.hypervisor.setControl({ copyMs: 0 })
      await end
      if (isLong) await isGivenUp(id)
      await e[side].mend()
      await eventually(
        "its task to be over",
        async () => (await e.show(id))["OS-EXT-STS:task_state"] === null,
      )
      await e.sagasAreOver(id)
      const { status, fault } = await e.show(id)
      assert.equal(status, "ACTIVE", JSON.stringify(fault))
      const host = await e.hostOf(id)
      const move = (await e.newestMigration(id)).status
      t.diagnostic(`${move}: it is on ${host}`)
      assert.equal(move, host === e.near.name ? "completed" : "error")
      const [here, away] = host === e.near.name ? [e.near, e.lost] : [e.lost, e.near]
      assert.deepEqual([await here.powers([id]), await away.powers([id])], [["running"], ["none"]])
      assert.deepEqual(await e.roomOf(id), { [host]: 128 })
    })
