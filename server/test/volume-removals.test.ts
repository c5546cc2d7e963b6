// What is removed later, by itself: however much of it cannot go, the rest does.
import assert from "node:assert/strict"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { removeBackupData } from "../src/block-storage/backup/remove.reconciler.ts"
import { removeLeftovers } from "../src/block-storage/leftover/leftovers.reconciler.ts"
import { pruneMessagesReconciler } from "../src/block-storage/message/prune.reconciler.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { makeVolume } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(() => c[Symbol.asyncDispose]())

const never = () => new AbortController().signal
const many = Array.from({ length: 101 }, () => newUuid())
const [last = ""] = many.slice(-1)
const stuck = many.slice(0, -1)

test("data of deleted volumes that cannot be removed keep no others from it", async () => {
  const { db } = c.cloud.database
  const { platform } = c.cloud.cloud
  await makeVolume(c, contextOf(platform, await callerOf(c)))
  const pool = await db.selectFrom("block_storage.pool").selectAll().executeTakeFirstOrThrow()
  const { name: _, ...lost } = { ...pool, backend: "lost", abilities: JSON.stringify(pool.abilities) }
  await db
    .insertInto("block_storage.pool")
    .values(lost as never)
    .execute()
  const at = (volume_id: string, backend: string) => ({ volume_id, backend, host: pool.host, generation: 1 })
  await db
    .insertInto("block_storage.leftover")
    .values([...stuck.map((id) => at(id, "lost")), at(last, pool.backend)])
    .execute()
  for (let pass = 0; pass < 2; pass++) await removeLeftovers(platform, never())
  const left = await db.selectFrom("block_storage.leftover").select("volume_id").execute()
  assert.deepEqual(left.map(({ volume_id: id }) => id).sort(), stuck.toSorted())
  await db.deleteFrom("block_storage.leftover").execute()
})

test("data of backups that cannot be removed keep no others from it, and none are removed again and again", async () => {
  const { db } = c.cloud.database
  const { platform } = c.cloud.cloud
  const going = { going_since: new Date() }
  const store = join(c.cloud.dataDir, "volume-backups")
  await mkdir(store, { recursive: true })
  await writeFile(join(store, "away"), "as if it were a mount that is broken")
  const away = stuck.map((id) => ({ id, container: "away", ...going }))
  await db
    .insertInto("block_storage.backup_data")
    .values([...away, { id: last, container: "volumebackups", ...going }])
    .execute()
  for (let pass = 0; pass < 2; pass++) await removeBackupData(platform, never())
  const { removed_at: removedAt } = await db
    .selectFrom("block_storage.backup_data")
    .select("removed_at")
    .where("id", "=", last)
    .executeTakeFirstOrThrow()
  assert.ok(removedAt)
  await db.deleteFrom("block_storage.backup_data").execute()
  const volumeId = await makeVolume(c, contextOf(platform, await callerOf(c)))
  const call = (method: string, path: string, body?: unknown) =>
    c.cloud.request(method, `/volume/v3${path}`, { token: c.demo, ...(body ? { body } : {}) })
  const made = (await call("POST", "/backups", { backup: { volume_id: volumeId } })).body.backup
  await eventually("the backup", async () => {
    const { body } = await call("GET", `/backups/${made.id}`)
    return body.backup.status === "available"
  })
  // As if its deletion had failed after the data were gone.
  await db
    .updateTable("block_storage.backup_data")
    .set({ going_since: new Date(0) })
    .execute()
  await removeBackupData(platform, never())
  assert.deepEqual(await removeBackupData(platform, never()), { removed: 0, failed: 0 })
})

test("all messages that are too old go at once", async () => {
  const { db } = c.cloud.database
  const old = { project_id: "p", resource_type: "VOLUME", event_id: "e", text: "t", request_id: "r" }
  const expires_at = new Date(0)
  const rows = Array.from({ length: 2_500 }, () => ({
    ...{ ...old, id: newUuid(), resource_id: newUuid(), expires_at },
  }))
  await db.insertInto("block_storage.message").values(rows).execute()
  assert.deepEqual(await pruneMessagesReconciler.run(c.cloud.cloud.platform, never()), { removed: 2_500 })
})
