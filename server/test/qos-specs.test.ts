// QoS specs over HTTP, and what machines are held to by them.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import type { IoLimits } from "../src/agent/protocol.ts"
import type { Ctx } from "../src/platform/context/context.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { callerOf, contextOf } from "./saga-case.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { makeVolume, volumeIs } from "./volume-cloud.ts"

let c: ServerCloud
let ctx: Ctx
before(async () => {
  c = await startServerCloud({ overrides: { "blockStorage.quota.volumes": -1 } })
  ctx = contextOf(c.cloud.cloud.platform, await callerOf(c))
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.admin) {
  const asked = { token, ...(body === undefined ? {} : { body }) }
  return await c.cloud.request(method, `/volume/v3${path}`, asked)
}

async function ok(method: string, path: string, body?: Body, token = c.admin): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function refused(status: number, method: string, path: string, body: Body, why: RegExp): Promise<void> {
  const reply = await call(method, path, body)
  assert.equal(
    reply.status,
    status,
    `${method} ${path} ${JSON.stringify(body)}: ${JSON.stringify(reply.body)}`,
  )
  assert.match(JSON.stringify(reply.body), why)
}

let made = 0
async function newSpecs(more: Body = {}): Promise<string> {
  return (await ok("POST", "/qos-specs", { qos_specs: { name: `specs-${++made}`, ...more } })).qos_specs.id
}
async function newType(): Promise<string> {
  return (await ok("POST", "/types", { volume_type: { name: `type-${++made}` } })).volume_type.id
}

test("specs are made, shown, listed, changed and deleted", async () => {
  const specs = { consumer: "front-end", total_iops_sec: "100", "vendor:anything": "goes" }
  const reply = await call("POST", "/qos-specs", { qos_specs: { name: "  gold ", ...specs } })
  assert.equal(reply.status, 200)
  const { id } = reply.body.qos_specs
  const { consumer, ...keys } = specs
  assert.deepEqual(reply.body.qos_specs, { id, name: "gold", consumer, specs: keys })
  assert.deepEqual(
    reply.body.links.map(({ rel }: Body) => rel),
    ["self", "bookmark"],
  )
  assert.deepEqual(await ok("GET", `/qos-specs/${id}`), reply.body)
  const set = { total_iops_sec: "200", consumer: "both" }
  assert.deepEqual(await ok("PUT", `/qos-specs/${id}`, { qos_specs: set }), { qos_specs: set })
  const after = (await ok("GET", `/qos-specs/${id}`)).qos_specs
  assert.deepEqual([after.consumer, after.specs], ["both", { ...keys, total_iops_sec: "200" }])
  await refused(404, "PUT", `/qos-specs/${id}/delete_keys`, { keys: ["total_iops_sec", "nokey"] }, /nokey/)
  assert.equal((await ok("GET", `/qos-specs/${id}`)).qos_specs.specs.total_iops_sec, "200")
  const gone = await call("PUT", `/qos-specs/${id}/delete_keys`, { keys: ["vendor:anything"] })
  assert.equal(gone.status, 202)
  assert.deepEqual((await ok("GET", `/qos-specs/${id}`)).qos_specs.specs, { total_iops_sec: "200" })
  assert.equal((await call("DELETE", `/qos-specs/${id}`)).status, 202)
  await refused(404, "GET", `/qos-specs/${id}`, undefined, /No such QoS spec/)
  // Without a word it is the back end's.
  const plain = (await ok("GET", `/qos-specs/${await newSpecs()}`)).qos_specs
  assert.deepEqual([plain.consumer, plain.specs], ["back-end", {}])
})

test("lists come in pages, sorted, and by what they are", async () => {
  for (const name of ["list-b", "list-a", "list-c"])
    await ok("POST", "/qos-specs", {
      qos_specs: { name, consumer: name === "list-c" ? "both" : "front-end" },
    })
  const names = async (query: string): Promise<string[]> =>
    (await ok("GET", `/qos-specs?${query}`)).qos_specs.map(({ name }: Body) => name)
  const all = await names("sort=name:asc")
  assert.deepEqual(
    all.filter((name) => name.startsWith("list-")),
    ["list-a", "list-b", "list-c"],
  )
  assert.deepEqual(await names("name=list-b"), ["list-b"])
  assert.deepEqual(await names("consumer=both&sort_key=name&sort_dir=desc"), ["list-c"])
  const page = await ok("GET", "/qos-specs?sort=name:asc&limit=2")
  assert.equal(page.qos_specs.length, 2)
  assert.match(page.qos_specs_links[0].href, /marker=/)
  assert.deepEqual(await names(`sort=name:asc&limit=2&marker=${page.qos_specs[1].id}`), all.slice(2, 4))
  await refused(404, "GET", `/qos-specs?marker=${newUuid()}`, undefined, /No such QoS spec/)
  await refused(400, "GET", "/qos-specs?sort_key=secret", undefined, /sort/)
})

test("bad input is told by its name, and names are of one only", async () => {
  const id = await newSpecs({ name: "taken" })
  const create = (qos_specs: Body) => ["POST", "/qos-specs", { qos_specs }] as const
  await refused(409, ...create({ name: "taken" }), /QoS Specs taken already exists/)
  const front = { name: "n", consumer: "front-end" }
  for (const [body, why] of [
    [{}, /name/],
    [{ name: " " }, /name/],
    [{ name: "x".repeat(256) }, /name/],
    [{ name: "n", consumer: "nobody" }, /consumer: 'nobody' is none of front-end/],
    [{ name: "n", key: 5 }, /key/],
    [{ name: "n", key: "x".repeat(256) }, /key/],
    [{ name: "n", ["k".repeat(256)]: "v" }, /a key is of 1 to 255/],
    [{ ...front, total_bytes_sec: "fast" }, /total_bytes_sec: 'fast' is no whole number/],
    [{ ...front, total_bytes_sec: "1", read_bytes_sec: "1" }, /total_bytes_sec/],
    [{ ...front, read_iops_sec_max: "1" }, /read_iops_sec_max/],
  ] as const)
    await refused(400, ...create(body), why)
  const many = Object.fromEntries(Array.from({ length: 129 }, (_, n) => [`k${n}`, "v"]))
  await refused(400, ...create({ name: "n", ...many }), /128 keys at the most/)
  await refused(400, "PUT", `/qos-specs/${id}`, { qos_specs: { consumer: "me" } }, /consumer/)
  await refused(400, "PUT", `/qos-specs/${id}`, { qos_specs: { k: 1 } }, /k/)
  await refused(400, "PUT", `/qos-specs/${id}`, {}, /qos_specs/)
  await refused(400, "PUT", `/qos-specs/${id}/delete_keys`, { keys: "k" }, /keys/)
  await refused(400, "PUT", `/qos-specs/${id}/delete_keys`, { keys: ["a", "a"] }, /keys/)
  await refused(400, "DELETE", `/qos-specs/${id}?force=perhaps`, undefined, /force/)
  // What a back end makes of them is its affair; whoever is to keep to them must be able to.
  await ok("PUT", `/qos-specs/${id}`, { qos_specs: { total_bytes_sec: "fast" } })
  await refused(400, "PUT", `/qos-specs/${id}`, { qos_specs: { consumer: "both" } }, /total_bytes_sec/)
  for (const no of [newUuid(), "no-uuid"]) {
    for (const [method, path, body] of [
      ["GET", ""],
      ["PUT", "", { qos_specs: { k: "v" } }],
      ["DELETE", ""],
      ["PUT", "/delete_keys", { keys: [] }],
      ["GET", "/associations"],
      ["GET", `/associate?vol_type_id=${newUuid()}`],
      ["GET", `/disassociate?vol_type_id=${newUuid()}`],
      ["GET", "/disassociate_all"],
    ] as const)
      await refused(404, method, `/qos-specs/${no}${path}`, body, /No such QoS spec/)
  }
})

test("types have specs, which stay while they do", async () => {
  const [id, other] = [await newSpecs(), await newSpecs()]
  const [first, second] = [await newType(), await newType()]
  const give = (typeId: string, specs = id) => `/qos-specs/${specs}/associate?vol_type_id=${typeId}`
  for (const typeId of [first, first, second]) assert.equal((await call("GET", give(typeId))).status, 202)
  await refused(400, "GET", give(first, other), undefined, /already associated with another qos specs/)
  await refused(404, "GET", give(newUuid()), undefined, /Volume type/)
  await refused(404, "GET", give("no-uuid"), undefined, /Volume type/)
  await refused(400, "GET", `/qos-specs/${id}/associate`, undefined, /vol_type_id/)
  await refused(400, "GET", `/qos-specs/${id}/disassociate`, undefined, /vol_type_id/)
  const associations = async () => (await ok("GET", `/qos-specs/${id}/associations`)).qos_associations
  const [one] = await associations()
  assert.deepEqual([one.association_type, one.id], ["volume_type", first])
  const typeOf = async (typeId: string, token = c.admin) =>
    (await ok("GET", `/types/${typeId}`, undefined, token)).volume_type
  assert.equal((await typeOf(first)).qos_specs_id, id)
  assert.ok(!("qos_specs_id" in (await typeOf(first, c.demo))), "for administrators")
  await refused(400, "DELETE", `/qos-specs/${id}`, undefined, /still associated/)
  await ok("GET", `/qos-specs/${other}/disassociate?vol_type_id=${first}`)
  assert.equal((await typeOf(first)).qos_specs_id, id, "it has others")
  await ok("GET", `/qos-specs/${id}/disassociate?vol_type_id=${first}`)
  assert.equal((await typeOf(first)).qos_specs_id, null)
  assert.equal((await associations()).length, 1)
  await ok("GET", `/qos-specs/${id}/disassociate_all`)
  assert.deepEqual(await associations(), [])
  await ok("GET", give(first))
  await ok("DELETE", `/qos-specs/${id}?force=True`)
  assert.equal((await typeOf(first)).qos_specs_id, null)
  await ok("GET", give(first, other))
  await ok("DELETE", `/types/${first}`)
  await ok("DELETE", `/qos-specs/${other}`)
})

test("they are for administrators alone, who are told so before anything else", async () => {
  const id = await newSpecs()
  for (const [method, path, body] of [
    ["GET", ""],
    ["POST", "", { qos_specs: { name: "mine" } }],
    ...["", `/${id}`, `/${newUuid()}`].flatMap((of) =>
      of === ""
        ? []
        : ([
            ["GET", of],
            ["DELETE", of],
            ["PUT", of, { qos_specs: {} }],
          ] as const),
    ),
    ["GET", `/${id}/associations`],
    ["GET", `/${id}/associate?vol_type_id=${newUuid()}`],
    ["GET", `/${id}/disassociate_all`],
    ["PUT", `/${id}/delete_keys`, { keys: [] }],
  ] as const)
    assert.equal((await call(method, `/qos-specs${path}`, body, c.demo)).status, 403, `${method} ${path}`)
})

test("who is given a specs' last type while it is deleted: one of the two is refused", async () => {
  for (let round = 0; round < 5; round++) {
    const [id, typeId] = [await newSpecs(), await newType()]
    const replies = await Promise.all([
      call("GET", `/qos-specs/${id}/associate?vol_type_id=${typeId}`),
      call("DELETE", `/qos-specs/${id}`),
    ])
    const statuses = replies.map(({ status }) => status)
    const [isGiven] = [statuses[0] === 202]
    assert.deepEqual(statuses, isGiven ? [202, 400] : [404, 202])
    const { qos_specs_id: has } = (await ok("GET", `/types/${typeId}`)).volume_type
    assert.equal(has, isGiven ? id : null)
  }
})

async function limitsOf(serverId: string, volumeId: string): Promise<IoLimits | undefined> {
  const { here } = await c.cloud.cloud.agent.agent.handle("host.unknown", { serverIds: [serverId] })
  const disks = here.flatMap(({ spec }) => spec?.disks ?? [])
  const disk = disks.find(({ name }) => name === volumeId)
  assert.ok(disk, "the machine has the volume")
  return disk.ioLimits
}

test("a machine is held to what was said when it was given its volume, until it is given it again", async () => {
  const typeId = await newType()
  const keys = { total_bytes_sec: "1000000", read_iops_sec_per_gb: "10", other: "x" }
  const id = await newSpecs({ consumer: "front-end", ...keys })
  await ok("GET", `/qos-specs/${id}/associate?vol_type_id=${typeId}`)
  const serverId = await c.create()
  await c.reaches(serverId, "ACTIVE")
  const volumeId = await makeVolume(c, ctx, { sizeGib: 3, volumeType: typeId })
  const at = `/servers/${serverId}/os-volume_attachments`
  const attach = async () => {
    const reply = await c.call("POST", at, { volumeAttachment: { volumeId } })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    await volumeIs(c, volumeId, "in-use")
  }
  const detach = async () => {
    assert.equal((await c.call("DELETE", `${at}/${volumeId}`)).status, 202)
    await volumeIs(c, volumeId, "available")
  }
  await attach()
  const first = { total_bytes_sec: 1_000_000, read_iops_sec: 30 }
  assert.deepEqual(await limitsOf(serverId, volumeId), first)
  await ok("PUT", `/qos-specs/${id}`, { qos_specs: { total_bytes_sec: "2000000" } })
  await c.act(serverId, { reboot: { type: "HARD" } })
  await c.reaches(serverId, "ACTIVE")
  assert.deepEqual(await limitsOf(serverId, volumeId), first)
  await detach()
  await attach()
  assert.deepEqual(await limitsOf(serverId, volumeId), { ...first, total_bytes_sec: 2_000_000 })
  await detach()
  // What the back end keeps to is not the machine's.
  await ok("PUT", `/qos-specs/${id}`, { qos_specs: { consumer: "back-end" } })
  await attach()
  assert.equal(await limitsOf(serverId, volumeId), undefined)
  await detach()
})
