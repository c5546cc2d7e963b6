// Backups over HTTP, on a whole control plane with a back end that keeps a few words of each volume.
import assert from "node:assert/strict"
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { removeBackupData } from "../src/block-storage/backup/remove.reconciler.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: {
      "blockStorage.quota.volumes": -1,
      "blockStorage.quota.gigabytes": -1,
      "blockStorage.quota.backups": 8,
      "blockStorage.quota.backupGigabytes": 40,
      "blockStorage.backup.chunkBytes": 4_096,
    },
  })
  await hasPool(c)
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.demo, version = "3.70") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.demo): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

type Kind = "volume" | "snapshot" | "backup"

async function settled(kind: Kind, id: string, status = "available"): Promise<Body> {
  return await eventually(`${kind} to be ${status}`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    if (found.status === "error" && status !== "error") assert.fail(JSON.stringify(found))
    return found.status === status && found
  })
}

async function makeVolume(wish: Body = {}): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, ...wish } })
  await settled("volume", volume.id)
  return volume.id
}

async function backUp(volumeId: string, wish: Body = {}): Promise<string> {
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: volumeId, ...wish } })
  await settled("backup", backup.id)
  return backup.id
}

async function gone(kind: Kind, id: string): Promise<void> {
  await eventually(`${kind} to be gone`, async () => (await call("GET", `/${kind}s/${id}`)).status === 404)
}

async function remove(kind: Kind, id: string): Promise<void> {
  await ok("DELETE", `/${kind}s/${id}`)
  await gone(kind, id)
}

const storeOf = (container = "volumebackups") => join(c.cloud.dataDir, "volume-backups", container)

async function dataOf(backupId: string): Promise<string> {
  const { data_id: id } = await c.cloud.database.db
    .selectFrom("block_storage.backup")
    .select("data_id")
    .where("id", "=", backupId)
    .executeTakeFirstOrThrow()
  return id ?? ""
}

async function filesOf(dataId: string, container?: string): Promise<string[]> {
  const root = join(storeOf(container), dataId)
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name))
}

test("a backup is made, listed by what it is, changed, restored to a new volume and deleted", async () => {
  const volumeId = await makeVolume({ name: "data", metadata: { k: "v" } })
  await ok("POST", `/volumes/${volumeId}/action`, { "os-set_bootable": { bootable: true } })
  c.cloud.volumes.write(volumeId, "what matters")
  const wish = {
    volume_id: volumeId,
    name: "b",
    description: "d",
    container: "my/../container",
    metadata: { a: "b" },
  }
  const made = await call("POST", "/backups", { backup: wish })
  assert.equal(made.status, 202)
  assert.deepEqual(Object.keys(made.body.backup).sort(), ["id", "links", "name"])
  const { id } = made.body.backup
  const shown = await settled("backup", id)
  await settled("volume", volumeId)
  const facts = [
    shown.size,
    shown.container,
    shown.is_incremental,
    shown.has_dependent_backups,
    shown.object_count,
  ]
  assert.deepEqual(facts, [1, "my/../container", false, false, 1])
  assert.deepEqual([shown.volume_id, shown.snapshot_id, shown.fail_reason], [volumeId, null, null])
  assert.deepEqual([shown.metadata, shown.availability_zone], [{ a: "b" }, "nova"])
  assert.equal(shown.data_timestamp, shown.created_at)
  assert.equal(shown["os-backup-project-attr:project_id"], undefined, "whose it is is for administrators")
  assert.equal((await filesOf(await dataOf(id), "my%2F%2E%2E%2Fcontainer")).length, 3)
  const names = async (query: string) =>
    (await ok("GET", `/backups?${query}`)).backups.map(({ name }: Body) => name)
  assert.deepEqual(await names(`name=b&status=available&volume_id=${volumeId}`), ["b"])
  assert.deepEqual(await names("status=error"), [])
  assert.equal((await ok("GET", "/backups/detail?with_count=true&limit=1")).count, 1)
  assert.equal(
    (await call("GET", "/backups?with_count=true", undefined, c.demo, "3.44")).body.count,
    undefined,
  )
  const { backup } = await ok("PUT", `/backups/${id}`, { backup: { name: "renamed", metadata: { a: "c" } } })
  assert.equal(backup.name, "renamed")
  assert.deepEqual((await settled("backup", id)).metadata, { a: "c" })
  c.cloud.volumes.write(volumeId, "something else")
  const { restore } = await ok("POST", `/backups/${id}/restore`, { restore: {} })
  assert.deepEqual([restore.backup_id, restore.volume_name], [id, `restore_backup_${id}`])
  const restored = await settled("volume", restore.volume_id)
  assert.deepEqual([restored.metadata, restored.bootable], [{ k: "v" }, "true"])
  assert.equal(c.cloud.volumes.read(restore.volume_id), "what matters")
  await settled("backup", id)
  const { volume } = await ok("POST", "/volumes", {
    volume: { size: 2, backup_id: id, metadata: { own: "1" } },
  })
  assert.equal(volume.status, "creating")
  const second = await settled("volume", volume.id)
  assert.deepEqual([second.size, second.metadata], [2, { k: "v", own: "1" }])
  assert.equal(c.cloud.volumes.read(volume.id), "what matters")
  const data = await dataOf(id)
  await remove("backup", id)
  assert.deepEqual(await filesOf(data, "my%2F%2E%2E%2Fcontainer"), [])
  for (const each of [volume.id, restore.volume_id, volumeId]) await remove("volume", each)
})

test("an incremental backup has only what differs, and keeps what it stands on", async () => {
  const volumeId = await makeVolume()
  const none = await call("POST", "/backups", { backup: { volume_id: volumeId, incremental: true } })
  assert.match(none.body.badRequest.message, /No backups available to do an incremental backup/)
  assert.equal((await settled("volume", volumeId)).status, "available")
  c.cloud.volumes.write(volumeId, "one")
  const full = await backUp(volumeId)
  const same = await backUp(volumeId, { incremental: true })
  c.cloud.volumes.write(volumeId, "two")
  const changed = await backUp(volumeId, { incremental: true })
  const counts = []
  for (const id of [full, same, changed]) counts.push((await settled("backup", id)).object_count)
  assert.deepEqual(counts, [1, 0, 1])
  const parent = await settled("backup", full)
  assert.deepEqual([parent.is_incremental, parent.has_dependent_backups], [false, true])
  assert.equal((await settled("backup", changed)).is_incremental, true)
  for (const id of [full, same]) {
    const refused = await call("DELETE", `/backups/${id}`)
    assert.equal(refused.status, 400)
    assert.match(refused.body.badRequest.message, /Incremental backups exist for this backup/)
    assert.equal((await settled("backup", id)).status, "available")
    const forced = await call("POST", `/backups/${id}/action`, { "os-force_delete": {} }, c.admin)
    assert.equal(forced.status, 400)
  }
  c.cloud.volumes.write(volumeId, "three")
  for (const [id, words] of [
    [same, "one"],
    [changed, "two"],
    [full, "one"],
  ] as const) {
    await ok("POST", `/backups/${id}/restore`, { restore: { volume_id: volumeId } })
    await settled("volume", volumeId)
    await settled("backup", id)
    assert.equal(c.cloud.volumes.read(volumeId), words)
  }
  for (const id of [changed, same, full]) await remove("backup", id)
  await remove("volume", volumeId)
})

test("of an incremental backup and the deletion of what it is to stand on one comes first", async () => {
  const volumeId = await makeVolume()
  for (let round = 0; round < 5; round++) {
    const full = await backUp(volumeId)
    const [made, deleted] = await Promise.all([
      call("POST", "/backups", { backup: { volume_id: volumeId, incremental: true } }),
      call("DELETE", `/backups/${full}`),
    ])
    assert.deepEqual([made.status, deleted.status].sort(), [202, 400])
    await settled("volume", volumeId)
    if (made.status === 202) {
      await settled("backup", made.body.backup.id)
      await remove("backup", made.body.backup.id)
      await remove("backup", full)
    } else await gone("backup", full)
  }
  await remove("volume", volumeId)
})

test("a snapshot is backed up, and the parent is of before it", async () => {
  const volumeId = await makeVolume()
  c.cloud.volumes.write(volumeId, "before")
  const first = await backUp(volumeId)
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: volumeId } })
  const { created_at: at } = await settled("snapshot", snapshot.id)
  c.cloud.volumes.write(volumeId, "after")
  const second = await backUp(volumeId)
  const ofSnapshot = await backUp(volumeId, { snapshot_id: snapshot.id, incremental: true })
  const shown = await settled("backup", ofSnapshot)
  assert.deepEqual([shown.snapshot_id, shown.data_timestamp, shown.object_count], [snapshot.id, at, 0])
  await settled("snapshot", snapshot.id)
  assert.equal((await settled("backup", first)).has_dependent_backups, true)
  assert.equal((await settled("backup", second)).has_dependent_backups, false)
  const other = await makeVolume()
  const wrong = await call("POST", "/backups", { backup: { volume_id: other, snapshot_id: snapshot.id } })
  assert.match(wrong.body.badRequest.message, /does not match/)
  for (const id of [ofSnapshot, second, first]) await remove("backup", id)
  await remove("snapshot", snapshot.id)
  for (const id of [volumeId, other]) await remove("volume", id)
})

test("what cannot be is refused with its reason", async () => {
  const volumeId = await makeVolume({ size: 2 })
  const small = await makeVolume()
  const id = await backUp(volumeId)
  const nobody = "00000000-0000-4000-8000-000000000000"
  for (const [backup, status, pattern] of [
    [{}, 400, /volume_id/],
    [{ volume_id: "x" }, 400, /volume_id|uuid/],
    [{ volume_id: nobody }, 404, /could not be found/],
    [{ volume_id: volumeId, snapshot_id: nobody }, 404, /Snapshot/],
    [{ volume_id: volumeId, name: "x".repeat(256) }, 400, /name|255/],
    [{ volume_id: volumeId, container: "x".repeat(256) }, 400, /container|255/],
    [{ volume_id: volumeId, force: "perhaps" }, 400, /force/],
    [{ volume_id: volumeId, availability_zone: "mars" }, 400, /zone 'mars'/],
    [{ volume_id: volumeId, unknown: 1 }, 400, /unknown/],
  ] as const) {
    const reply = await call("POST", "/backups", { backup })
    assert.equal(reply.status, status, JSON.stringify(backup))
    assert.match(Object.values<Body>(reply.body)[0].message, pattern)
  }
  const old = { volume_id: volumeId, metadata: { k: "v" } }
  assert.equal((await call("POST", "/backups", { backup: old }, c.demo, "3.42")).status, 400)
  assert.equal((await call("PUT", `/backups/${id}`, { backup: { name: "n" } }, c.demo, "3.8")).status, 404)
  const tooSmall = await call("POST", `/backups/${id}/restore`, { restore: { volume_id: small } })
  assert.match(tooSmall.body.badRequest.message, /too small to restore backup of size 2/)
  assert.equal((await settled("volume", small)).status, "available")
  await settled("backup", id)
  const tooSmallNew = await call("POST", "/volumes", { volume: { size: 1, backup_id: id } })
  assert.match(tooSmallNew.body.badRequest.message, /cannot be smaller/)
  const before = await call("POST", "/volumes", { volume: { backup_id: id, size: 2 } }, c.demo, "3.46")
  assert.match(before.body.badRequest.message, /backup_id.*3\.47/)
  assert.equal((await call("POST", `/backups/${id}/restore`, { restore: { volume_id: nobody } })).status, 404)
  assert.equal((await call("GET", `/backups/${id}/export_record`)).status, 403)
  assert.equal((await call("POST", `/backups/${id}/action`, { "os-force_delete": {} })).status, 403)
  const word = { "os-reset_status": { status: "restoring" } }
  assert.equal((await call("POST", `/backups/${id}/action`, word, c.admin)).status, 400)
  await ok("POST", `/backups/${id}/action`, { "os-reset_status": { status: "error" } }, c.admin)
  const broken = await call("POST", `/backups/${id}/restore`, { restore: {} })
  assert.match(broken.body.badRequest.message, /must be available/)
  await remove("backup", id)
  for (const each of [volumeId, small]) await remove("volume", each)
})

test("a volume that a server has is backed up when that is said", async () => {
  const volumeId = await makeVolume()
  const serverId = await c.create()
  await c.reaches(serverId, "ACTIVE")
  const attachment = { volumeAttachment: { volumeId } }
  assert.equal((await c.call("POST", `/servers/${serverId}/os-volume_attachments`, attachment)).status, 200)
  await settled("volume", volumeId, "in-use")
  const refused = await call("POST", "/backups", { backup: { volume_id: volumeId } })
  assert.match(refused.body.badRequest.message, /must use the force flag/)
  const id = await backUp(volumeId, { force: true })
  await settled("volume", volumeId, "in-use")
  const inUse = await call("POST", `/backups/${id}/restore`, { restore: { volume_id: volumeId } })
  assert.match(inUse.body.badRequest.message, /must be available/)
  await c.call("DELETE", `/servers/${serverId}`)
  await c.isGone(serverId)
  await settled("volume", volumeId)
  await remove("backup", id)
  await remove("volume", volumeId)
})

test("the quota counts backups and their sizes", async () => {
  const volumeId = await makeVolume({ size: 21 })
  const id = await backUp(volumeId)
  const { limits } = await ok("GET", "/limits")
  assert.deepEqual(
    [
      limits.absolute.totalBackupsUsed,
      limits.absolute.totalBackupGigabytesUsed,
      limits.absolute.maxTotalBackups,
    ],
    [1, 21, 8],
  )
  const { status, body } = await call("POST", "/backups", { backup: { volume_id: volumeId } })
  assert.equal(status, 413)
  assert.match(
    body.overLimit.message,
    /Backup gigabytes quota. Requested 21G, quota is 40G and 21G has been consumed/,
  )
  assert.equal(
    (await settled("volume", volumeId)).status,
    "available",
    "a refusal leaves the volume as it was",
  )
  await remove("backup", id)
  await remove("volume", volumeId)
})

test("a full store makes the backup fail with its reason, and gets its room back", async () => {
  const volumeId = await makeVolume()
  c.cloud.volumes.write(volumeId, "words")
  const config = c.cloud.cloud.platform.config.blockStorage.backup as { reservedBytes: number }
  const { reservedBytes } = config
  config.reservedBytes = Number.MAX_SAFE_INTEGER
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: volumeId } })
  const failed = await settled("backup", backup.id, "error")
  config.reservedBytes = reservedBytes
  assert.equal(failed.fail_reason, "The store of backups is full.")
  await settled("volume", volumeId)
  const { messages } = await ok("GET", `/messages?resource_uuid=${backup.id}`)
  assert.deepEqual(
    messages.map((each: Body) => [each.resource_type, each.event_id, each.user_message]),
    [["VOLUME_BACKUP", "VOLUME_VOLUME_BACKUP_013_020", "The store of backups is full."]],
  )
  assert.equal(await dataOf(backup.id), "")
  await remove("backup", backup.id)
  const next = await backUp(volumeId)
  await remove("backup", next)
  await remove("volume", volumeId)
})

test("what was changed or lost in the store is noticed, and the volume keeps its data", async () => {
  const volumeId = await makeVolume()
  c.cloud.volumes.write(volumeId, "good")
  const id = await backUp(volumeId)
  c.cloud.volumes.write(volumeId, "newer")
  const chunk = (await filesOf(await dataOf(id))).find((name) => name.includes("/data/")) ?? ""
  const bytes = await readFile(chunk)
  const evil = Buffer.from(bytes)
  evil.write("evil")
  const restoring = async (pattern: RegExp) => {
    await ok("POST", `/backups/${id}/restore`, { restore: { volume_id: volumeId } })
    await settled("volume", volumeId, "error_restoring")
    await settled("backup", id)
    assert.equal(c.cloud.volumes.read(volumeId), "newer")
    const { messages } = await ok("GET", `/messages?resource_uuid=${volumeId}&limit=1`)
    assert.match(messages[0].user_message, pattern)
    const status = { "os-reset_status": { status: "available" } }
    await ok("POST", `/volumes/${volumeId}/action`, status, c.admin)
  }
  await writeFile(chunk, evil)
  await restoring(/damaged: chunk 0 is not what it was/)
  await rm(chunk)
  await restoring(/damaged: chunk 0 is lost/)
  await writeFile(chunk, bytes)
  await ok("POST", `/backups/${id}/restore`, { restore: { volume_id: volumeId } })
  await settled("volume", volumeId)
  assert.equal(c.cloud.volumes.read(volumeId), "good")
  await settled("backup", id)
  await remove("backup", id)
  await remove("volume", volumeId)
})

test("a backup that is being made is ended by a forced delete; its volume is as it was", async () => {
  const volumeId = await makeVolume()
  c.cloud.volumes.write(volumeId, "words")
  c.cloud.volumes.setControl({ delayMs: 600_000 })
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: volumeId } })
  await settled("volume", volumeId, "backing-up")
  assert.equal((await call("DELETE", `/backups/${backup.id}`)).status, 400)
  await ok("POST", `/backups/${backup.id}/action`, { "os-force_delete": {} }, c.admin)
  c.cloud.volumes.setControl({ delayMs: 0 })
  await gone("backup", backup.id)
  await settled("volume", volumeId)
  assert.deepEqual(await readdir(storeOf()).catch(() => []), [])
  await remove("volume", volumeId)
})

test("data that nobody has go with the reconciler, and what no row knows stays", async () => {
  const volumeId = await makeVolume()
  c.cloud.volumes.write(volumeId, "words")
  const id = await backUp(volumeId)
  const data = await dataOf(id)
  const unknown = join(storeOf(), "11111111-1111-4111-8111-111111111111")
  await rename(join(storeOf(), data), unknown)
  // As if a mount were gone for the moment.
  await remove("backup", id)
  await rename(unknown, join(storeOf(), data))
  const rowOf = async () =>
    await c.cloud.database.db
      .selectFrom("block_storage.backup_data")
      .selectAll()
      .where("id", "=", data)
      .executeTakeFirst()
  assert.ok((await rowOf())?.going_since, "it is known that they are to go")
  await writeFile(unknown, "of a database that was replaced")
  await c.cloud.database.db
    .updateTable("block_storage.backup_data")
    .set({ removed_at: null })
    .where("id", "=", data)
    .execute()
  const { platform } = c.cloud.cloud
  await removeBackupData(platform, new AbortController().signal)
  assert.deepEqual(await filesOf(data), [])
  assert.deepEqual(await readdir(storeOf()), ["11111111-1111-4111-8111-111111111111"])
  assert.ok(await rowOf(), "a host that heard of it late may still write")
  await c.cloud.database.db
    .updateTable("block_storage.backup_data")
    .set({ going_since: new Date(0) })
    .where("id", "=", data)
    .execute()
  await removeBackupData(platform, new AbortController().signal)
  assert.equal(await rowOf(), undefined)
  await rm(unknown)
  await remove("volume", volumeId)
})

function changed(url: string, changes: Body): string {
  const record = JSON.parse(Buffer.from(url, "base64").toString())
  return Buffer.from(JSON.stringify({ ...record, ...changes })).toString("base64")
}

test("a record of a backup is exported and imported, and must be of what is in the store", async () => {
  const volumeId = await makeVolume({ metadata: { k: "v" } })
  c.cloud.volumes.write(volumeId, "one")
  const full = await backUp(volumeId, { name: "full" })
  c.cloud.volumes.write(volumeId, "two")
  const more = await backUp(volumeId, { name: "more", incremental: true })
  const recordOf = async (id: string) =>
    (await ok("GET", `/backups/${id}/export_record`, undefined, c.admin))["backup-record"]
  const [record, moreRecord] = [await recordOf(full), await recordOf(more)]
  assert.match(record.backup_service, /^cinder\.backup\.drivers\./)
  const put = async (url: string, token = c.admin, service = record.backup_service) =>
    await call(
      "POST",
      "/backups/import_record",
      { "backup-record": { backup_service: service, backup_url: url } },
      token,
    )
  const newId = "22222222-2222-4222-8222-222222222222"
  assert.equal((await put(record.backup_url, c.demo)).status, 403)
  for (const [url, pattern] of [
    [record.backup_url, /already exists/],
    ["!!", /base64/],
    [`${" ".repeat(65_000)}!`, /base64/],
    [Buffer.from("{}").toString("base64"), /backup_url/],
    [changed(record.backup_url, { id: newId, size: 2 }), /not of the data in the store/],
    [changed(record.backup_url, { id: newId, volume_id: newId }), /not of the data in the store/],
    [changed(record.backup_url, { id: newId, checksum: "0".repeat(64) }), /not of the data in the store/],
    [changed(record.backup_url, { id: "../../etc" }), /id/],
    [changed(record.backup_url, { id: newId, service_metadata: "../../../etc/passwd" }), /service_metadata/],
    [changed(moreRecord.backup_url, { id: newId }), /import the backup first/],
  ] as const) {
    const { status, body } = await put(url)
    assert.equal(status, 400, url)
    assert.match(body.badRequest.message, pattern)
  }
  const lost = await put(changed(record.backup_url, { id: newId, container: "elsewhere" }))
  assert.equal(lost.status, 409)
  assert.equal((await put(record.backup_url, c.admin, "cinder.backup.drivers.swift")).status, 400)
  const imported = await put(changed(record.backup_url, { id: newId }))
  assert.deepEqual([imported.status, imported.body.backup.id], [201, newId])
  // Both have the same data: these stay until the last one is gone.
  await remove("backup", more)
  await remove("backup", full)
  assert.equal((await call("GET", `/backups/${newId}`)).status, 404, "it is the importing project's")
  const { restore } = await ok("POST", `/backups/${newId}/restore`, { restore: {} }, c.admin)
  await eventually("the restored volume", async () => {
    const { volume } = await ok("GET", `/volumes/${restore.volume_id}`, undefined, c.admin)
    return volume.status === "available"
  })
  assert.equal(c.cloud.volumes.read(restore.volume_id), "one")
  const data = await dataOf(newId)
  await ok("DELETE", `/backups/${newId}`, undefined, c.admin)
  await eventually("it to be gone", async () => {
    return (await call("GET", `/backups/${newId}`, undefined, c.admin)).status === 404
  })
  assert.deepEqual(await filesOf(data), [])
  await ok("DELETE", `/volumes/${restore.volume_id}`, undefined, c.admin)
  await remove("volume", volumeId)
})
