// Backups of encrypted volumes over HTTP: their key goes with them, to new volumes and to old ones, and out of the
// cloud only for its own eyes.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openVolumeKey } from "../src/block-storage/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({
    overrides: { "blockStorage.quota.volumes": -1, "blockStorage.quota.backups": -1 },
  })
  await hasPool(c)
  await encryptedType("secret", {})
  await encryptedType("other", { key_size: 128 })
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

const call = async (method: string, path: string, body?: Body, token = c.demo, version = "3.71") =>
  await c.cloud.request(method, `/volume/v3${path}`, {
    ...{ token, headers: { "OpenStack-API-Version": `volume ${version}` } },
    ...(body === undefined ? {} : { body }),
  })

async function ok(method: string, path: string, body?: Body, token = c.demo): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function refused(path: string, body: Body, why: RegExp, token = c.demo): Promise<void> {
  const reply = await call("POST", path, body, token)
  assert.equal(reply.status, 400, JSON.stringify(reply.body))
  assert.match(reply.body.badRequest.message, why)
}

async function encryptedType(name: string, more: Body): Promise<void> {
  const { volume_type: type } = await ok("POST", "/types", { volume_type: { name } }, c.admin)
  const encryption = { provider: "luks", control_location: "front-end", ...more }
  await ok("POST", `/types/${type.id}/encryption`, { encryption }, c.admin)
}

async function settled(kind: "volume" | "backup" | "snapshot", id: string, status = "available") {
  return await eventually(`the ${kind} to be ${status}`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    if (found.status === "error" && status !== "error") assert.fail(JSON.stringify(found))
    return found.status === status && found
  })
}

async function make(wish: Body = {}): Promise<string> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, ...wish } })
  await settled("volume", volume.id)
  return volume.id
}

async function backUp(volumeId: string, wish: Body = {}): Promise<string> {
  const { backup } = await ok("POST", "/backups", { backup: { volume_id: volumeId, ...wish } })
  await settled("backup", backup.id)
  await settled("volume", volumeId)
  return backup.id
}

async function restore(backupId: string, volumeId: string, status = "available"): Promise<void> {
  await ok("POST", `/backups/${backupId}/restore`, { restore: { volume_id: volumeId } })
  await settled("volume", volumeId, status)
}

const passphraseOf = async (volumeId: string) =>
  (await openVolumeKey(c.cloud.cloud.platform, { host: c.cloud.cloud.platform.config.host, volumeId }))
    .passphrase
const keyIdOf = async (volumeId: string) => (await settled("volume", volumeId)).encryption_key_id
const reset = async (id: string, status: string) =>
  await call("POST", `/volumes/${id}/action`, { "os-reset_status": { status } }, c.admin)

test("a backup has the volume's key, outlives the volume, and gives it to a volume of the same type", async () => {
  const source = await make({ volume_type: "secret", name: "v" })
  c.cloud.volumes.write(source, "ciphertext")
  const passphrase = await passphraseOf(source)
  const id = await backUp(source)
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: source } })
  await settled("snapshot", snapshot.id)
  const ofSnapshot = await backUp(source, { snapshot_id: snapshot.id, incremental: true })
  const shown = await settled("backup", id)
  assert.match(shown.encryption_key_id, /^[0-9a-f-]{36}$/)
  assert.notEqual(shown.encryption_key_id, await keyIdOf(source))
  const old = await call("GET", `/backups/${id}`, undefined, c.demo, "3.63")
  assert.equal("encryption_key_id" in old.body.backup, false)
  await ok("DELETE", `/snapshots/${snapshot.id}`)
  await eventually(
    "the snapshot to go",
    async () => (await call("GET", `/snapshots/${snapshot.id}`)).status === 404,
  )
  await ok("DELETE", `/volumes/${source}`)
  await eventually("the volume to go", async () => (await call("GET", `/volumes/${source}`)).status === 404)
  for (const each of [id, ofSnapshot]) {
    const { restore: to } = await ok("POST", `/backups/${each}/restore`, { restore: {} })
    const restored = await settled("volume", to.volume_id)
    assert.deepEqual([restored.encrypted, restored.volume_type], [true, "secret"])
    assert.equal(await passphraseOf(restored.id), passphrase)
    assert.notEqual(restored.encryption_key_id, (await settled("backup", each)).encryption_key_id)
    assert.equal(c.cloud.volumes.read(restored.id), "ciphertext")
  }
  const open = { volume: { size: 1, backup_id: id, volume_type: "__DEFAULT__" } }
  await refused("/volumes", open, /the source is encrypted, and volumes of type __DEFAULT__ are not; name an/)
  const { rows } = await sql<{ all: string }>`select string_agg(s::text, '') as all from (
    select k::text as s from block_storage.backup_key k union all select b::text from block_storage.backup b
    union all select l::text from engine.saga l) s`.execute(c.cloud.database.db)
  assert.equal(rows[0]?.all.includes(passphrase), false)
  await ok("DELETE", `/backups/${ofSnapshot}`)
  const left = async () =>
    (
      await sql`select id from block_storage.backup_key where backup_id = ${ofSnapshot}`.execute(
        c.cloud.database.db,
      )
    ).rows.length
  await eventually("the key to go with the backup", async () => (await left()) === 0)
})

test("a restore onto an encrypted volume brings the key with the data, or leaves a volume that nobody calls well", async () => {
  const [one, two] = [await make({ volume_type: "secret" }), await make({ volume_type: "secret" })]
  const before = { key: await keyIdOf(two), passphrase: await passphraseOf(two) }
  const [ofOne, ofTwo] = [await backUp(one), await backUp(two)]
  await restore(ofTwo, two)
  assert.equal(await keyIdOf(two), before.key, "its own data have its own key")
  c.cloud.volumes.write(one, "of one")
  await restore(ofOne, two)
  assert.equal(await passphraseOf(two), await passphraseOf(one))
  assert.notEqual(await keyIdOf(two), before.key)
  assert.notEqual(await keyIdOf(two), await keyIdOf(one))
  c.cloud.volumes.setControl({ failNext: 1 })
  await restore(ofTwo, two, "error_restoring")
  const claimed = await reset(two, "available")
  assert.equal(claimed.status, 400, JSON.stringify(claimed.body))
  assert.match(claimed.body.badRequest.message, /nobody knows the key/)
  assert.equal((await reset(two, "error")).status, 202)
  await ok("POST", `/volumes/${two}/action`, { "os-reimage": { image_id: c.imageId } })
  await settled("volume", two, "error")
  await eventually("the image to be there", async () => (await reset(two, "available")).status === 202)
  assert.equal(await passphraseOf(two), await passphraseOf(one))
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: two } })
  await settled("snapshot", snapshot.id)
  const onto = (volumeId: string) => ({ restore: { volume_id: volumeId } })
  await refused(`/backups/${ofTwo}/restore`, onto(two), /has snapshots, whose data have its key/)
  await restore(ofOne, two)
  const [open, other] = [await make(), await make({ volume_type: "other" })]
  const ofOpen = await backUp(open)
  await refused(`/backups/${ofOne}/restore`, onto(open), /is not encrypted, and the data of backup .* are:/)
  await refused(`/backups/${ofOpen}/restore`, onto(one), /is encrypted, and the data of backup .* are not:/)
  await refused(`/backups/${ofOne}/restore`, onto(other), /not encrypted in the same way/)
  for (const id of [one, open, other]) await settled("volume", id)
  const wish = { size: 1, backup_id: ofOpen, volume_type: "secret" }
  await refused("/volumes", { volume: wish }, /the source is not encrypted, and volumes of type secret are/)
})

test("a record has the key for this cloud alone, and for these data alone", async () => {
  const volumeId = await make({ volume_type: "secret" })
  const passphrase = await passphraseOf(volumeId)
  const [id, second] = [await backUp(volumeId), await backUp(volumeId, { incremental: true })]
  const recordOf = async (backupId: string) => {
    const { "backup-record": record } = await ok(
      "GET",
      `/backups/${backupId}/export_record`,
      undefined,
      c.admin,
    )
    return {
      service: record.backup_service,
      record: JSON.parse(Buffer.from(record.backup_url, "base64").toString()),
    }
  }
  const { service, record } = await recordOf(id)
  assert.equal(JSON.stringify(record).includes(passphrase), false)
  const other = (await recordOf(second)).record
  const put = async (changes: object, of = record) => {
    const backup_url = Buffer.from(JSON.stringify({ ...of, ...changes })).toString("base64")
    const body = { "backup-record": { backup_service: service, backup_url } }
    return await call("POST", "/backups/import_record", body, c.admin)
  }
  const [fresh, increment] = [newUuid(), newUuid()]
  const early = await put({ id: increment }, other)
  assert.equal(early.status, 400, JSON.stringify(early.body))
  assert.match(
    early.body.badRequest.message,
    new RegExp(`import the backup first .* ${record.service_metadata}`),
  )
  const wrong: [object, RegExp][] = [
    [{ encryption: undefined }, /the record has no key of them/],
    [{ encryption: other.encryption }, /sealed by another cloud or for other data/],
    [{ encryption: { ...record.encryption, sealed: "AAAA" } }, /sealed by another cloud or for other data/],
    [{ encryption: { ...record.encryption, key_size: "x" } }, /key_size/],
  ]
  for (const [changes, why] of wrong) {
    const reply = await put({ id: fresh, ...changes })
    assert.equal(reply.status, 400, JSON.stringify([changes, reply.body]))
    assert.match(reply.body.badRequest.message, why)
  }
  const imported = await put({ id: fresh })
  assert.equal(imported.status, 201, JSON.stringify(imported.body))
  // Into this project too, on the one of this project.
  assert.equal((await put({ id: increment }, other)).status, 201)
  const body = { restore: { name: "back" } }
  const { restore: to } = await ok("POST", `/backups/${increment}/restore`, body, c.admin)
  await eventually("the volume", async () => {
    const { volume } = await ok("GET", `/volumes/${to.volume_id}`, undefined, c.admin)
    return volume.status === "available"
  })
  assert.equal(await passphraseOf(to.volume_id), passphrase)
})
