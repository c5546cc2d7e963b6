// The store of backups beside a database that knows more of it, or less: as after a backup of the cloud was restored.
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { rename } from "node:fs/promises"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { discardUnknownBackup, listUnknownBackups, settleStore } from "../src/block-storage/backup/unknown.ts"
import { unknownDataNotFound } from "../src/block-storage/faults.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.backup.chunkBytes": 4_096 } })
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function ok(method: string, path: string, body?: Body): Promise<Body> {
  const headers = { "openstack-api-version": "volume 3.70" }
  const reply = await c.cloud.request(method, `/volume/v3${path}`, {
    ...{ token: c.admin, headers },
    ...(body === undefined ? {} : { body }),
  })
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function settled(kind: "volume" | "backup", id: string): Promise<void> {
  await eventually(`the ${kind} to be available`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    if (found.status === "error") assert.fail(JSON.stringify(found))
    return found.status === "available"
  })
}

interface Made {
  id: string
  dataId: string
}

async function backUp(volumeId: string, wish: Body = {}): Promise<Made> {
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: volumeId, ...wish } })
  await settled("backup", backup.id)
  const row = await c.cloud.database.db
    .selectFrom("block_storage.backup")
    .select("data_id")
    .where("id", "=", backup.id)
    .executeTakeFirstOrThrow()
  return { id: backup.id, dataId: row.data_id ?? assert.fail("it has data") }
}

async function makeBackups(): Promise<[Made, Made]> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1 } })
  await settled("volume", volume.id)
  return [await backUp(volume.id), await backUp(volume.id, { incremental: true })]
}

/** As a database does that is of before it was made. */
async function forget({ id, dataId }: Made): Promise<void> {
  const { db } = c.cloud.database
  await db.deleteFrom("block_storage.backup").where("id", "=", id).execute()
  await db.deleteFrom("block_storage.backup_data").where("id", "=", dataId).execute()
}

const storeDir = () => join(c.cloud.dataDir, "volume-backups")
const dirOf = ({ dataId }: { dataId: string }) => join(storeDir(), "volumebackups", dataId)
const keyOf = ({ dataId }: { dataId: string }) => `volumebackups/${dataId}`

test("data that no row knows are listed, become a backup again by their record, or are discarded", async () => {
  const { platform } = c.cloud.cloud
  const [full, more] = await makeBackups()
  assert.deepEqual(await listUnknownBackups(platform), { data: [], missing: [] })
  await forget(more)
  const [unknown, ...others] = (await listUnknownBackups(platform)).data
  assert.equal(others.length, 0)
  assert.ok(unknown?.record && unknown.id === keyOf(more) && unknown.sizeBytes > 0 && !unknown.isAside)
  const { service, url } = unknown.record
  const record = { "backup-record": { backup_service: service, backup_url: url } }
  const { backup } = await ok("POST", "/backups/import_record", record)
  assert.deepEqual(await listUnknownBackups(platform), { data: [], missing: [] })
  await forget({ ...more, id: backup.id })
  await assert.rejects(discardUnknownBackup(platform, keyOf(full)), unknownDataNotFound.is)
  await assert.rejects(discardUnknownBackup(platform, "../volumes"), unknownDataNotFound.is)
  await discardUnknownBackup(platform, keyOf(more))
  assert.equal(existsSync(dirOf(more)), false)
  assert.ok(existsSync(dirOf(full)))
})

test("a backup whose data are gone is listed", async () => {
  const [full] = await makeBackups()
  await rename(dirOf(full), `${dirOf(full)}.away`)
  const { missing } = await listUnknownBackups(c.cloud.cloud.platform)
  assert.deepEqual(
    missing.map(({ backupId }) => backupId),
    [full.id],
  )
  await rename(`${dirOf(full)}.away`, dirOf(full))
})

test("until the store agrees with a restored database, what is deleted is set aside", async () => {
  const [, more] = await makeBackups()
  const [known, since] = await makeBackups()
  const { platform } = c.cloud.cloud
  // The one that stands on it was made since.
  await forget(since)
  const epoch = { number: platform.epoch.number + 1, id: newUuid() }
  const restored = { ...platform, epoch }
  assert.deepEqual(await settleStore(restored), { unknown: 1 })
  const other = { ...platform, epoch: { ...epoch, number: platform.epoch.number - 1 } }
  assert.deepEqual(await settleStore(other), { unknown: 1 })
  // Then this cloud itself is the one whose database is another than the store was used by.
  await settleAs(restored, since)
  assert.deepEqual(await settleStore(platform), { unknown: 0 })
  for (const { id } of [more, known]) await ok("DELETE", `/backups/${id}`)
  await eventually("their data to be aside", () => !existsSync(dirOf(more)) && !existsSync(dirOf(known)))
  const aside = readdirSync(join(storeDir(), "lost+found"))
  for (const { dataId } of [more, known]) assert.ok(aside.some((name) => name.endsWith(`.${dataId}`)))
  const { data } = await listUnknownBackups(platform)
  assert.deepEqual([...new Set(data.map(({ isAside }) => isAside))], [true])
  for (const { id } of data) await discardUnknownBackup(platform, id)
  assert.deepEqual(readdirSync(join(storeDir(), "lost+found")), [])
})

/** Nothing is unknown any more, so the store enters the epoch. */
async function settleAs(restored: Platform, since: Made): Promise<void> {
  await discardUnknownBackup(restored, keyOf(since))
  assert.deepEqual(await settleStore(restored), { unknown: 0 })
}
