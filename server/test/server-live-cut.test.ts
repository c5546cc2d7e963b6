// The commands' way to one of two hosts is cut for a while in a live migration, so that what is under way is not
// answered although it is done: the guest runs on exactly one of them in the end, as the rows say.
import assert from "node:assert/strict"
import { after, afterEach, before, beforeEach, test } from "node:test"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { EvacuateCloud } from "./evacuate-cloud.ts"

let e: EvacuateCloud
before(async () => {
  e = await EvacuateCloud.start()
})
after(() => e?.[Symbol.asyncDispose]())
beforeEach(() => e.restore())
afterEach(() => e.empty())

const copyMs = 800

for (const side of ["lost", "near"] as const)
  for (const [when, cutAfterMs] of [
    ["in the middle", 0],
    ["at its end", copyMs - 50],
  ] as const)
    test(`cut ${when}, from the host ${side === "lost" ? "that it leaves" : "to which it goes"}`, async (t) => {
      const id = await e.serverOn(e.lost)
      e.lost.hypervisor.setControl({ copyMs })
      await e.act(id, { "os-migrateLive": { host: e.near.name, block_migration: "auto" } })
      const path = `/compute/v2.1/servers/${id}/migrations`
      await eventually("its memory to be on the way", async () => {
        return (await e.ok("GET", path)).migrations[0]?.memory_total_bytes > 0
      })
      await systemClock.sleep(cutAfterMs)
      e[side].unplug()
      // What was under way gets to its end there.
      await systemClock.sleep(2 * copyMs)
      await e[side].mend()
      e.lost.hypervisor.setControl({ copyMs: 0 })
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
