import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { type Clock, systemClock } from "../platform/clock/clock.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { agentFenceStale } from "./faults.ts"
import { FenceStore, type FenceUse, judgeFence } from "./fence-store.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-fence-"))
after(() => rmSync(directory, { recursive: true }))

const pairs = [0, 1, 2].flatMap((generation) => [0, 1, 2].map((fence) => ({ generation, fence })))
const uses: FenceUse[] = ["ensure", "change", "destroy"]

test("over all pairs and uses: never backwards, and never out of the grave without something new", () => {
  for (const known of pairs) {
    for (const isDestroyed of [false, true]) {
      for (const sent of pairs) {
        for (const use of uses) {
          const next = judgeFence({ ...known, isDestroyed }, sent, use)
          const order = sent.generation - known.generation || sent.fence - known.fence
          const isAllowed = order > 0 || (order === 0 && (!isDestroyed || use === "destroy"))
          assert.equal(next !== null, isAllowed, JSON.stringify({ known, isDestroyed, sent, use }))
          if (next) {
            assert.deepEqual([next.generation, next.fence], [sent.generation, sent.fence])
            assert.equal(next.isDestroyed, use === "destroy" || (isDestroyed && use === "change"))
          }
        }
      }
    }
  }
})

test("what was accepted is known to the next store; old tombstones are forgotten", async () => {
  const serverId = newUuid()
  const one = new FenceStore(directory, systemClock)
  await one.accept(serverId, { generation: 3, fence: 7 }, "ensure")
  const two = new FenceStore(directory, systemClock)
  await assert.rejects(two.accept(serverId, { generation: 3, fence: 6 }, "destroy"), agentFenceStale.is)
  await two.accept(serverId, { generation: 3, fence: 7 }, "destroy")
  assert.equal(new FenceStore(directory, systemClock).isDestroyed(serverId), true)
  assert.deepEqual(await two.oldOnes(), [])
  await two.forgetOld(serverId)
  assert.equal(two.isDestroyed(serverId), true)
  const later: Clock = { ...systemClock, now: () => new Date(Date.parse("2100-01-01")) }
  const third = new FenceStore(directory, later)
  assert.deepEqual(await third.oldOnes(), [serverId])
  await third.forgetOld(serverId)
  assert.equal(third.isDestroyed(serverId), false)
  assert.equal(new FenceStore(directory, systemClock).isDestroyed(serverId), false)
})

test("what is no tombstone is never forgotten", async () => {
  const later: Clock = { ...systemClock, now: () => new Date(Date.parse("2100-01-01")) }
  const store = new FenceStore(join(directory, "kept"), later)
  const serverId = newUuid()
  await store.accept(serverId, { generation: 3, fence: 7 }, "ensure")
  for (const id of await store.oldOnes()) await store.forgetOld(id)
  await assert.rejects(store.accept(serverId, { generation: 3, fence: 6 }, "ensure"), agentFenceStale.is)
  // But where nobody asks for it any more.
  for (const id of await store.oldOnes()) await store.forgetAnyOld(id)
  await store.accept(serverId, { generation: 3, fence: 6 }, "ensure")
})

test("machines beyond what is kept in memory are known all the same", async () => {
  const store = new FenceStore(join(directory, "many"), systemClock, { rememberedMost: 10 })
  const ids = Array.from({ length: 25 }, () => newUuid())
  for (const id of ids) await store.accept(id, { generation: 2, fence: 2 }, "ensure")
  for (const id of ids) {
    await assert.rejects(store.accept(id, { generation: 2, fence: 1 }, "ensure"), agentFenceStale.is)
  }
})

test("a change of a machine that was never here leaves nothing behind", async () => {
  const store = new FenceStore(join(directory, "empty"), systemClock)
  const serverId = newUuid()
  await store.accept(serverId, { generation: 9, fence: 9 }, "change")
  await store.accept(serverId, { generation: 1, fence: 1 }, "ensure")
})
