// How the volumes of a type are encrypted, and how a volume is, over HTTP.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { encryptionOfType } from "../src/block-storage/volume-type/encryption.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.admin, version = "3.0") {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": `volume ${version}` },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.admin): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function refused(status: number, method: string, path: string, body: Body, why: RegExp): Promise<void> {
  const reply = await call(method, path, body)
  const told = JSON.stringify(reply.body)
  assert.equal(reply.status, status, `${method} ${path} ${JSON.stringify(body)}: ${told}`)
  assert.match(told, why)
}

let made = 0
async function newType(more: Body = {}): Promise<string> {
  return (await ok("POST", "/types", { volume_type: { name: `type-${++made}`, ...more } })).volume_type.id
}

const luks = { provider: "luks", cipher: "aes-xts-plain64", key_size: 256, control_location: "front-end" }
const of = (typeId: string, more = "") => `/types/${typeId}/encryption${more}`

async function encrypted(encryption: Body = luks): Promise<{ typeId: string; id: string }> {
  const typeId = await newType()
  const { encryption_id: id } = (await ok("POST", of(typeId), { encryption })).encryption
  return { typeId, id }
}

/** As one is that is being made, where no host need make it. */
async function insertVolume(db: typeof c.cloud.database.db, typeId: string, token = c.demo): Promise<string> {
  const headers = { "x-subject-token": token }
  const { body } = await c.cloud.request("GET", "/identity/v3/auth/tokens", { token, headers })
  const { project, user } = body.token
  const row = { id: newUuid(), project_id: project.id, user_id: user.id, status: "error", size_gib: 1 }
  await db
    .insertInto("block_storage.volume")
    .values({ ...row, volume_type_id: typeId, availability_zone: "nova" })
    .execute()
  return row.id
}

const removeVolume = (id: string) =>
  c.cloud.database.db.deleteFrom("block_storage.volume").where("id", "=", id).execute()

test("an encryption is said, shown, changed and taken away", async () => {
  const typeId = await newType()
  assert.deepEqual(await ok("GET", of(typeId)), {})
  assert.equal(await encryptionOfType(c.cloud.database.db, typeId), null)
  const reply = await call("POST", of(typeId), { encryption: { ...luks, key_size: "512" } })
  assert.equal(reply.status, 200)
  const { encryption_id: id } = reply.body.encryption
  const told = { ...luks, key_size: 512, volume_type_id: typeId, encryption_id: id }
  assert.deepEqual(reply.body, { encryption: told })

  const { created_at, updated_at, ...shown } = await ok("GET", of(typeId))
  assert.deepEqual(shown, { ...told, deleted: false, deleted_at: null })
  assert.match(created_at, /^\d{4}-\d\d-\d\dT[\d:]+\.\d{6}$/)
  assert.equal(updated_at, null)
  const items = ["provider", "cipher", "key_size", "control_location", "encryption_id"] as const
  for (const key of items) assert.deepEqual(await ok("GET", of(typeId, `/${key}`)), { [key]: told[key] })

  const changes = { cipher: null, key_size: "128" }
  const change = await call("PUT", of(typeId, `/${id}`), { encryption: changes })
  assert.equal(change.status, 200)
  assert.deepEqual(change.body, { encryption: { cipher: null, key_size: 128 } })
  // As Cinder's clients write it.
  const back = await ok("PUT", of(typeId, "/provider"), { encryption: { control_location: "back-end" } })
  assert.deepEqual(back, { encryption: { control_location: "back-end" } })
  assert.deepEqual(await ok("PUT", of(typeId, `/${id}`), { encryption: {} }), { encryption: {} })
  const now = await ok("GET", of(typeId))
  assert.deepEqual(
    [now.provider, now.cipher, now.key_size, now.control_location],
    ["luks", null, 128, "back-end"],
  )
  assert.ok(now.updated_at)
  const known = await encryptionOfType(c.cloud.database.db, typeId)
  assert.deepEqual(
    [known?.provider, known?.controlLocation, known?.cipher, known?.keySize],
    ["luks", "back-end", null, 128],
  )

  assert.equal((await call("DELETE", of(typeId, `/${id}`))).status, 202)
  assert.deepEqual(await ok("GET", of(typeId)), {})
  await ok("POST", of(typeId), { encryption: { provider: "plain" } })
  const least = await ok("GET", of(typeId))
  assert.deepEqual([least.control_location, least.cipher, least.key_size], ["front-end", null, null])
  assert.equal((await call("DELETE", of(typeId, "/provider"))).status, 202)
  await ok("DELETE", `/types/${typeId}`)
})

test("it goes with its type", async () => {
  const { typeId } = await encrypted()
  await ok("DELETE", `/types/${typeId}`)
  assert.equal(await encryptionOfType(c.cloud.database.db, typeId), null)
})

test("bad input is told by its name", async () => {
  const typeId = await newType()
  for (const [encryption, why] of [
    [{}, /provider/],
    [{ provider: "" }, /provider/],
    [{ provider: null }, /provider/],
    [{ provider: "x".repeat(256) }, /provider/],
    [{ ...luks, control_location: "middle" }, /control_location/],
    [{ ...luks, control_location: null }, /control_location/],
    [{ ...luks, cipher: 5 }, /cipher/],
    [{ ...luks, cipher: "x".repeat(256) }, /cipher/],
    [{ ...luks, key_size: -1 }, /key_size/],
    [{ ...luks, key_size: 1.5 }, /key_size/],
    [{ ...luks, key_size: "many" }, /key_size/],
    [{ ...luks, key_size: "-1" }, /key_size/],
    [{ ...luks, key_size: "" }, /key_size/],
    [{ ...luks, key_size: 2 ** 31 }, /key_size/],
    [{ ...luks, key_size: String(2 ** 31) }, /key_size/],
    [{ ...luks, key_size: "9".repeat(400) }, /key_size/],
    [{ ...luks, volume_type_id: typeId }, /volume_type_id/],
  ] as const)
    await refused(400, "POST", of(typeId), { encryption }, why)
  await refused(400, "POST", of(typeId), {}, /encryption/)
  await refused(400, "POST", of(typeId), { encryption: luks, more: 1 }, /more/)
  assert.deepEqual(await ok("GET", of(typeId)), {})
  const { typeId: other, id } = await encrypted()
  for (const [encryption, why] of [
    [{ provider: "" }, /provider/],
    [{ control_location: "middle" }, /control_location/],
    [{ key_size: "many" }, /key_size/],
    [{ key_size: String(2 ** 31) }, /key_size/],
    [{ encryption_id: id }, /encryption_id/],
  ] as const)
    await refused(400, "PUT", of(other, `/${id}`), { encryption }, why)
  const { created_at, updated_at, ...shown } = await ok("GET", of(other))
  assert.equal(updated_at, null)
  assert.equal(shown.key_size, 256)
})

test("a type has one, and what is not there is not found", async () => {
  const { typeId } = await encrypted()
  await refused(
    400,
    "POST",
    of(typeId),
    { encryption: { provider: "other" } },
    new RegExp(`Volume type encryption for type ${typeId} already exists.`),
  )
  assert.equal((await ok("GET", of(typeId))).provider, "luks")
  const none = /Volume type encryption for type .* does not exist/
  await refused(404, "GET", of(typeId, "/secret"), undefined, none)
  await refused(404, "GET", of(typeId, "/constructor"), undefined, none)
  const bare = await newType()
  const { id: foreign } = await encrypted()
  await refused(404, "GET", of(bare, "/provider"), undefined, none)
  for (const [type, id] of [
    [bare, newUuid()],
    [bare, "provider"],
    [typeId, newUuid()],
    [typeId, foreign],
    [typeId, "no-uuid"],
  ] as const) {
    await refused(404, "PUT", of(type, `/${id}`), { encryption: { provider: "x" } }, none)
    await refused(404, "DELETE", of(type, `/${id}`), undefined, none)
  }
  for (const no of [newUuid(), "no-uuid"]) {
    for (const [method, more, body] of [
      ["GET", ""],
      ["POST", "", { encryption: luks }],
      ["GET", "/provider"],
      ["PUT", "/provider", { encryption: {} }],
      ["DELETE", "/provider"],
    ] as const)
      await refused(404, method, of(no, more), body, /Volume type .* could not be found/)
  }
})

test("it stays as it is while the type has volumes", async () => {
  const [{ typeId, id }, bare] = [await encrypted(), await newType()]
  const { db } = c.cloud.database
  const volumes = [await insertVolume(db, typeId), await insertVolume(db, bare)]
  const inUse = (verb: string) => new RegExp(`Cannot ${verb} encryption specs. Volume type in use.`)
  await refused(400, "POST", of(bare), { encryption: luks }, inUse("create"))
  await refused(400, "PUT", of(typeId, `/${id}`), { encryption: { key_size: 512 } }, inUse("update"))
  await refused(400, "DELETE", of(typeId, `/${id}`), undefined, inUse("delete"))
  assert.equal((await ok("GET", of(typeId))).key_size, 256)
  for (const volume of volumes) await removeVolume(volume)
  await ok("PUT", of(typeId, `/${id}`), { encryption: { key_size: 512 } })
  await ok("DELETE", of(typeId, `/${id}`))
  await ok("POST", of(bare), { encryption: luks })
})

test("a volume that is being made is waited for, and seen", async () => {
  const [{ typeId, id }, bare] = [await encrypted(), await newType()]
  const { db } = c.cloud.database
  const volumes: string[] = []
  const asked = await db.transaction().execute(async (tx) => {
    volumes.push(await insertVolume(tx, typeId), await insertVolume(tx, bare))
    const replies = [
      call("POST", of(bare), { encryption: luks }),
      call("PUT", of(typeId, `/${id}`), { encryption: { key_size: 512 } }),
      call("DELETE", of(typeId, `/${id}`)),
    ]
    await eventually("all to wait", async () => {
      const { rows } = await sql`select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`.execute(db)
      return rows.length >= replies.length
    })
    return { replies }
  })
  const statuses = (await Promise.all(asked.replies)).map(({ status }) => status)
  assert.deepEqual(statuses, [400, 400, 400])
  assert.deepEqual(await ok("GET", of(bare)), {})
  assert.equal((await ok("GET", of(typeId))).key_size, 256)
  for (const volume of volumes) await removeVolume(volume)
})

test("of several at once one is taken", async () => {
  const typeId = await newType()
  const providers = ["a", "b", "c", "d"]
  const replies = await Promise.all(
    providers.map((provider) => call("POST", of(typeId), { encryption: { provider } })),
  )
  const statuses = replies.map(({ status }) => status).sort()
  assert.deepEqual(statuses, [200, 400, 400, 400])
  const taken = replies.find(({ status }) => status === 200)
  assert.equal((await ok("GET", of(typeId))).provider, taken?.body.encryption.provider)
})

test("what happens to it is told once, in order", async () => {
  const { typeId, id } = await encrypted()
  await ok("PUT", of(typeId, "/provider"), { encryption: { key_size: 512 } })
  await ok("DELETE", of(typeId, `/${id}`))
  const { rows } = await c.cloud.database.pool.query(
    "select type, payload from engine.outbox_event where resource_id = $1 and type like '%encryption%' order by id",
    [typeId],
  )
  assert.deepEqual(
    rows.map(({ type, payload }) => [type, payload]),
    [
      ["volume_type_encryption.create", { type_id: typeId, specs: luks }],
      ["volume_type_encryption.update", { type_id: typeId, id }],
      ["volume_type_encryption.delete", { type_id: typeId, id }],
    ],
  )
})

test("those of types are for administrators alone", async () => {
  const { typeId, id } = await encrypted()
  const hidden = await newType({ "os-volume-type-access:is_public": false })
  for (const [method, more, body] of [
    ["GET", ""],
    ["POST", "", { encryption: luks }],
    ["GET", "/provider"],
    ["PUT", `/${id}`, { encryption: { provider: "mine" } }],
    ["DELETE", `/${id}`],
  ] as const) {
    assert.equal((await call(method, of(typeId, more), body, c.demo)).status, 403, `${method} ${more}`)
    assert.equal((await call(method, of(hidden, more), body, c.demo)).status, 404, `${method} ${more}`)
  }
  assert.equal((await ok("GET", of(typeId))).provider, "luks")
})

test("a volume tells how it is encrypted, and never what opens it", async () => {
  const { typeId } = await encrypted()
  const { db } = c.cloud.database
  const id = await insertVolume(db, typeId)
  const at = `/volumes/${id}/encryption`
  const seen = (path: string) => ok("GET", path, undefined, c.demo)
  assert.deepEqual(await seen(at), { encryption_key_id: null })
  assert.equal(await seen(`${at}/encryption_key_id`), "")
  assert.equal((await call("GET", `${at}/provider`, undefined, c.demo)).status, 404)

  const key = { id: newUuid(), sealed: "never shown", provider: "luks", key_size: 256, cipher: null }
  const values = { ...key, volume_id: id, control_location: "front-end" }
  await db.insertInto("block_storage.volume_key").values(values).execute()
  const { sealed, id: encryption_key_id, ...rest } = key
  const told = { ...rest, encryption_key_id, control_location: "front-end" }
  for (const version of ["3.0", "3.64", "3.71"]) {
    const reply = await call("GET", at, undefined, c.demo, version)
    assert.deepEqual([reply.status, reply.body], [200, told])
    const item = await call("GET", `${at}/key_size`, undefined, c.demo, version)
    assert.deepEqual([item.status, item.body], [200, "256"])
    assert.match(item.headers.get("content-type") ?? "", /^text\/plain/)
  }
  assert.equal(await seen(`${at}/encryption_key_id`), encryption_key_id)
  assert.equal(await seen(`${at}/cipher`), "")
  for (const unknown of ["sealed", "constructor"])
    await refused(404, "GET", `${at}/${unknown}`, undefined, /has no metadata with key/)
  await removeVolume(id)
})

test("another project's volume is not there", async () => {
  const typeId = await newType()
  const id = await insertVolume(c.cloud.database.db, typeId, c.admin)
  for (const volume of [id, newUuid(), "no-uuid"]) {
    for (const more of ["", "/encryption_key_id"]) {
      const reply = await call("GET", `/volumes/${volume}/encryption${more}`, undefined, c.demo)
      assert.equal(reply.status, 404)
      assert.equal(reply.body.itemNotFound.message, `Volume ${volume} could not be found.`)
    }
  }
  await removeVolume(id)
})

test("an encryption is the same at every microversion", async () => {
  for (const version of ["3.0", "3.71"]) {
    const typeId = await newType()
    const asAdmin = (method: string, more: string, body?: Body) =>
      call(method, of(typeId, more), body, c.admin, version)
    const { encryption } = (await asAdmin("POST", "", { encryption: luks })).body
    const { encryption_id, volume_type_id, ...told } = encryption
    assert.deepEqual([told, volume_type_id], [luks, typeId])
    assert.deepEqual((await asAdmin("GET", "/provider")).body, { provider: "luks" })
    assert.equal((await asAdmin("GET", "")).body.encryption_id, encryption_id)
    assert.equal((await asAdmin("PUT", `/${encryption_id}`, { encryption: { key_size: 1 } })).status, 200)
    assert.equal((await asAdmin("DELETE", `/${encryption_id}`)).status, 202)
    await ok("DELETE", `/types/${typeId}`)
  }
})
