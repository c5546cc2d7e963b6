// Where back ends and rows differ, as after a backup of the cloud was restored. Nothing of it is removed.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { callAgent } from "../src/block-storage/agent-call.ts"
import { listDifferingVolumes } from "../src/block-storage/index.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { makeVolume } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(() => c[Symbol.asyncDispose]())

test("data without a row, rows without data, and back ends that do not answer are told", async () => {
  const { platform } = c.cloud.cloud
  const { db } = c.cloud.database
  const ctx = contextOf(platform, await callerOf(c))
  const [kept, forgotten, lost] = [
    await makeVolume(c, ctx),
    await makeVolume(c, ctx),
    await makeVolume(c, ctx),
  ]
  assert.deepEqual(await listDifferingVolumes(platform), { unknown: [], missing: [], silent: [] })

  const pool = await db.selectFrom("block_storage.pool").selectAll().executeTakeFirstOrThrow()
  const place = { host: pool.host, backend: pool.backend }
  const { projectId } = ctx.caller
  await db.deleteFrom("block_storage.volume").where("id", "=", forgotten).execute()
  const fence = { generation: Number.MAX_SAFE_INTEGER - 1, fence: 1 }
  await callAgent(platform, place.host, "volume.delete", { volumeId: lost, backend: place.backend, fence })
  const snapshot = newUuid()
  const isOf = {
    volume_id: kept,
    project_id: projectId ?? "",
    user_id: "u",
    size_gib: 1,
    status: "available",
  }
  await db
    .insertInto("block_storage.snapshot")
    .values({ id: snapshot, name: "s", ...isOf, ...place })
    .execute()
  const { name: _, ...away } = { ...pool, backend: "away", abilities: JSON.stringify(pool.abilities) }
  await db
    .insertInto("block_storage.pool")
    .values({ ...away, reported_at: new Date(0) } as never)
    .execute()

  const told = await listDifferingVolumes(platform)
  assert.deepEqual(told.unknown, [{ id: forgotten, ...place, sizeBytes: 1024 ** 3 }])
  assert.deepEqual(told.missing, [
    { kind: "volume", id: lost, name: null, projectId, ...place },
    { kind: "snapshot", id: snapshot, name: "s", projectId, ...place },
  ])
  assert.deepEqual(told.silent, [{ host: pool.host, backend: "away" }])

  // What waits for its removal is no find, nor what is being made.
  await db
    .insertInto("block_storage.leftover")
    .values({ volume_id: forgotten, ...place, generation: 1 })
    .execute()
  await db.updateTable("block_storage.volume").set({ status: "creating" }).where("id", "=", lost).execute()
  await db.deleteFrom("block_storage.snapshot").where("id", "=", snapshot).execute()
  const again = await listDifferingVolumes(platform)
  assert.deepEqual([again.unknown, again.missing], [[], []])
})
