// Encrypted volumes over HTTP: which get a key, who is given it, and what is refused of them.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { openVolumeKey } from "../src/block-storage/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.quota.volumes": -1 } })
  await hasPool(c)
  await ok("POST", "/types", { volume_type: { name: "secret" } }, c.admin)
  await encrypt("secret", {})
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

const call = async (method: string, path: string, body?: Body, token = c.demo) =>
  await c.cloud.request(method, `/volume/v3${path}`, {
    ...{ token, headers: { "OpenStack-API-Version": "volume 3.71" } },
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

async function encrypt(type: string, more: Body): Promise<void> {
  const { volume_types: types } = await ok("GET", "/types", undefined, c.admin)
  const { id } = types.find(({ name }: Body) => name === type)
  const encryption = { provider: "luks", control_location: "front-end", ...more }
  await ok("POST", `/types/${id}/encryption`, { encryption }, c.admin)
}

async function settled(kind: "volume" | "snapshot", id: string): Promise<Body> {
  return await eventually(`the ${kind} to be there`, async () => {
    const found = (await ok("GET", `/${kind}s/${id}`))[kind]
    if (found.status === "error") assert.fail(JSON.stringify(found))
    return found.status === "available" && found
  })
}

async function make(wish: Body = {}): Promise<Body> {
  const made = await ok("POST", "/volumes", { volume: { size: 1, ...wish } })
  return await settled("volume", made.volume.id)
}

const keyOf = (volumeId: string, host = c.cloud.cloud.platform.config.host) =>
  openVolumeKey(c.cloud.cloud.platform, { host, volumeId })

test("a volume of an encrypted type has a key, which its host alone is given, and which no other row knows", async () => {
  const made = await ok("POST", "/volumes", { volume: { size: 1, volume_type: "secret" } })
  assert.equal(made.volume.encrypted, true)
  const volume = await settled("volume", made.volume.id)
  assert.match(volume.encryption_key_id, /^[0-9a-f-]{36}$/)
  assert.deepEqual(await ok("GET", `/volumes/${volume.id}/encryption`), {
    ...{ encryption_key_id: volume.encryption_key_id, provider: "luks", control_location: "front-end" },
    ...{ cipher: null, key_size: null },
  })
  const clear = await make()
  assert.equal(clear.encrypted, false)
  assert.equal("encryption_key_id" in clear, false)
  const { passphrase, ...how } = await keyOf(volume.id)
  assert.deepEqual(how, { cipher: "aes-xts-plain64", keySizeBits: 256 })
  assert.equal(Buffer.from(passphrase, "base64url").length, 32)
  for (const [id, host] of [
    [volume.id, "another-host"],
    [clear.id, undefined],
    ["../x", undefined],
  ]) {
    await assert.rejects(keyOf(id, host), { code: "block_storage.volume.key_refused" })
  }
  const { rows } = await sql<{ all: string }>`select coalesce(string_agg(s::text, ''), '') as all from (
    select k.sealed as s from block_storage.volume_key k union all
    select l::text from engine.saga l) s`.execute(c.cloud.database.db)
  assert.equal(rows[0]?.all.includes(passphrase), false)
  await ok("DELETE", `/volumes/${volume.id}`)
  await eventually("the key to be gone", async () => {
    return await keyOf(volume.id).then(
      () => false,
      () => true,
    )
  })
})

test("what is made of an encrypted volume has its key, and cannot be of a type that is not so", async () => {
  const source = await make({ volume_type: "secret" })
  const { passphrase } = await keyOf(source.id)
  const copy = await make({ source_volid: source.id })
  const snapshot = await ok("POST", "/snapshots", { snapshot: { volume_id: source.id } })
  await settled("snapshot", snapshot.snapshot.id)
  const later = await make({ snapshot_id: snapshot.snapshot.id })
  for (const { id, encryption_key_id: keyId, volume_type: type } of [copy, later]) {
    assert.equal((await keyOf(id)).passphrase, passphrase)
    assert.notEqual(keyId, source.encryption_key_id)
    assert.equal(type, "secret")
  }
  await ok("POST", "/types", { volume_type: { name: "open" } }, c.admin)
  const volume = { source_volid: source.id, volume_type: "open" }
  await refused("/volumes", { volume }, /the source is encrypted, and volumes of type open are not/)
  const clear = await make({ volume_type: "open" })
  const other = { snapshot_id: null, source_volid: clear.id, volume_type: "secret" }
  await refused("/volumes", { volume: other }, /the source is not encrypted, and volumes of type secret are;/)
  const retype = (to: string) => ({ "os-retype": { new_type: to, migration_policy: "on-demand" } })
  await refused(`/volumes/${source.id}/action`, retype("open"), /must not have snapshots/)
  // A type that is encrypted alike will do.
  await ok("POST", "/types", { volume_type: { name: "secret2" } }, c.admin)
  await encrypt("secret2", {})
  await ok("POST", `/volumes/${copy.id}/action`, retype("secret2"))
  assert.equal((await settled("volume", copy.id)).volume_type, "secret2")
  assert.equal((await keyOf(copy.id)).passphrase, passphrase)
})

test("a volume becomes encrypted and plain again with its type, has a key as long as it is, and keeps its data", async () => {
  await ok("POST", "/types", { volume_type: { name: "plain" } }, c.admin)
  await ok("POST", "/types", { volume_type: { name: "serpent" } }, c.admin)
  await encrypt("serpent", { cipher: "serpent-xts-plain64", key_size: 256 })
  const { id } = await make({ volume_type: "plain" })
  const driver = c.cloud.volumes
  driver.write(id, "what a guest wrote")
  const retype = (to: string, policy = "on-demand") => ({
    "os-retype": { new_type: to, migration_policy: policy },
  })
  const act = (body: Body) => ok("POST", `/volumes/${id}/action`, body)
  await refused(
    `/volumes/${id}/action`,
    retype("secret", "never"),
    /Retype requires migration but is not allowed/,
  )
  await act({ "os-reserve": null })
  await refused(`/volumes/${id}/action`, retype("secret"), /Volume status must be|must be available/)
  await act({ "os-unreserve": null })
  await act(retype("secret"))
  const secret = await settled("volume", id)
  assert.deepEqual([secret.volume_type, secret.encrypted], ["secret", true])
  const first = await keyOf(id)
  await refused(`/volumes/${id}/action`, retype("serpent"), /encrypted in another way/)
  await act(retype("plain"))
  const plain = await settled("volume", id)
  assert.deepEqual([plain.volume_type, plain.encrypted], ["plain", false])
  await assert.rejects(keyOf(id))
  assert.equal(driver.read(id), "what a guest wrote")
  // What fails leaves it as it was.
  driver.setControl({ failNext: 1 })
  await act(retype("secret"))
  await eventually("the failure to be told", async () => {
    const { messages } = await ok("GET", `/messages?resource_uuid=${id}`)
    return messages.length > 0
  })
  const still = await settled("volume", id)
  assert.deepEqual([still.volume_type, still.encrypted], ["plain", false])
  await act(retype("secret"))
  await settled("volume", id)
  assert.notEqual((await keyOf(id)).passphrase, first.passphrase)
})

test("what would lose the key or the secret is refused, and the volume stays as it was", async () => {
  const { id } = await make({ volume_type: "secret" })
  const upload = {
    "os-volume_upload_image": { image_name: "i", disk_format: "qcow2", visibility: "private" },
  }
  await refused(`/volumes/${id}/action`, upload, /must use 'raw' disk_format and 'bare' container_format/)
  await refused(`/volumes/${id}/action`, { "os-unmanage": {} }, /without their key would be lost/, c.admin)
  assert.equal((await ok("GET", `/volumes/${id}`)).volume.status, "available")
  const { snapshot } = await ok("POST", "/snapshots", { snapshot: { volume_id: id } })
  await settled("snapshot", snapshot.id)
  const lost = /without their key would be lost/
  await refused(`/snapshots/${snapshot.id}/action`, { "os-unmanage": {} }, lost, c.admin)
  await settled("snapshot", snapshot.id)
  const beside = { snapshot: { volume_id: id, ref: { "source-name": "clear" } } }
  await refused("/manageable_snapshots", beside, /encrypted, and data that/, c.admin)
})

test("a type that no host can encrypt for is refused when a volume is to be of it", async () => {
  const asked: [Body, RegExp][] = [
    [{ provider: "plain" }, /no host encrypts by the provider plain; luks would be right/],
    [{ control_location: "back-end" }, /control_location front-end would be right/],
    [{ cipher: "aes-ecb" }, /the cipher aes-ecb; aes-xts-plain64 would be right/],
    [{ key_size: 192 }, /keys of 192 bits; 256 would be right/],
    [{ key_size: 512, cipher: "aes-cbc-plain64" }, /keys of 512 bits/],
  ]
  for (const [n, [encryption, why]] of asked.entries()) {
    await ok("POST", "/types", { volume_type: { name: `bad-${n}` } }, c.admin)
    await encrypt(`bad-${n}`, encryption)
    await refused("/volumes", { volume: { size: 1, volume_type: `bad-${n}` } }, why)
  }
  const specs = { multiattach: "<is> True" }
  await ok("POST", "/types", { volume_type: { name: "shared", extra_specs: specs } }, c.admin)
  await encrypt("shared", {})
  await refused(
    "/volumes",
    { volume: { size: 1, volume_type: "shared" } },
    /several servers may have/,
    c.admin,
  )
  for (const [n, encryption] of [
    { provider: "LuksEncryptor", key_size: 512 },
    { cipher: "aes-cbc-essiv:sha256" },
  ].entries()) {
    await ok("POST", "/types", { volume_type: { name: `good-${n}` } }, c.admin)
    await encrypt(`good-${n}`, encryption)
    assert.equal((await make({ volume_type: `good-${n}` })).encrypted, true)
  }
})

test("an image of an encrypted volume has its data and its key, for a volume of an encrypted type and for nothing else", async () => {
  const { id } = await make({ volume_type: "secret" })
  c.cloud.volumes.write(id, "LUKS\u00ba\u00be and noise")
  const { passphrase } = await keyOf(id)
  const upload = { "os-volume_upload_image": { image_name: "i", disk_format: "raw", visibility: "private" } }
  const { "os-volume_upload_image": made } = await ok("POST", `/volumes/${id}/action`, upload)
  const path = `/image/v2/images/${made.image_id}`
  const image = await eventually("the image", async () => {
    const { body } = await c.cloud.request("GET", path, { token: c.demo })
    return body.status === "active" && body
  })
  await settled("volume", id)
  assert.match(image.cinder_encryption_key_id, /^[0-9a-f-]{36}$/)
  assert.equal(image.cinder_encryption_key_deletion_policy, "on_image_deletion")
  // The image's key is its own, whatever is written into its properties.
  await c.cloud.request("PATCH", path, {
    token: c.demo,
    headers: { "content-type": "application/openstack-images-v2.1-json-patch" },
    body: [{ op: "replace", path: "/cinder_encryption_key_id", value: "x" }],
  })
  const copy = await make({ imageRef: made.image_id })
  assert.deepEqual([copy.encrypted, copy.volume_type], [true, "secret"])
  assert.equal((await keyOf(copy.id)).passphrase, passphrase)
  assert.equal("cinder_encryption_key_id" in copy.volume_image_metadata, false)
  const open = { size: 1, imageRef: made.image_id, volume_type: "__DEFAULT__" }
  await refused(
    "/volumes",
    { volume: open },
    /the source is encrypted, and volumes of type __DEFAULT__ are not/,
  )
  const reimage = { "os-reimage": { image_id: made.image_id } }
  await refused(`/volumes/${copy.id}/action`, reimage, /has a key of its own/)
  const server = { name: "x", flavorRef: c.flavorId, networks: "none", imageRef: made.image_id }
  const booted = await c.call("POST", "/servers", { server })
  assert.equal(booted.status, 400, JSON.stringify(booted.body))
  assert.match(booted.body.badRequest.message, /Direct booting of an image uploaded from an encrypted volume/)
  const keys = async () =>
    (
      await sql<{ key: string }>`select k::text as key from block_storage.image_key k`.execute(
        c.cloud.database.db,
      )
    ).rows
  assert.equal((await keys()).length, 1)
  assert.equal((await keys())[0]?.key.includes(passphrase), false)
  assert.equal((await c.cloud.request("DELETE", path, { token: c.demo })).status, 204)
  assert.deepEqual(await keys(), [])
  c.cloud.volumes.setControl({ failNext: 1 })
  await ok("POST", `/volumes/${id}/action`, upload)
  await settled("volume", id)
  assert.deepEqual(await keys(), [], "an image that was not made has none")
})

test("who knows of encrypted transfers makes them, with all snapshots, and nobody offers what is not available", async () => {
  const { id } = await make({ volume_type: "secret" })
  const { passphrase } = await keyOf(id)
  const offer = async (path: string, version: string, more: Body = {}) =>
    await c.cloud.request("POST", `/volume/v3/${path}`, {
      ...{ token: c.demo, headers: { "OpenStack-API-Version": `volume ${version}` } },
      body: { transfer: { volume_id: id, ...more } },
    })
  const unknown = /Invalid volume: transferring encrypted volume is not supported/
  const attached = { volume_uuid: id, instance_uuid: "11111111-1111-4111-8111-111111111111" }
  const refusals: [string, string, Body, RegExp][] = [
    ["volume-transfers", "3.69", {}, unknown],
    ["os-volume-transfer", "3.71", {}, unknown],
    ["volume-transfers", "3.70", { no_snapshots: true }, /without its snapshots is not supported/],
  ]
  for (const [path, version, more, why] of refusals) {
    const reply = await offer(path, version, more)
    assert.equal(reply.status, 400, JSON.stringify(reply.body))
    assert.match(reply.body.badRequest.message, why)
  }
  const { attachment } = await ok("POST", "/attachments", { attachment: attached })
  const busy = await offer("volume-transfers", "3.70")
  assert.equal(busy.status, 400, JSON.stringify(busy.body))
  assert.match(busy.body.badRequest.message, /Invalid volume: status must be available/)
  await ok("DELETE", `/attachments/${attachment.id}`)
  const { transfer } = (await offer("volume-transfers", "3.70")).body
  const accept = { accept: { auth_key: transfer.auth_key } }
  await ok("POST", `/volume-transfers/${transfer.id}/accept`, accept, c.admin)
  assert.equal((await keyOf(id)).passphrase, passphrase)
})
