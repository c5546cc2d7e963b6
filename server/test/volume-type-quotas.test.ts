// Limits by volume type, over HTTP: `volumes_<type>`, `gigabytes_<type>`, `snapshots_<type>`.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { hasPool } from "./volume-cloud.ts"

let c: ServerCloud
let project: string
before(async () => {
  c = await startServerCloud()
  await hasPool(c)
  project = (
    await c.cloud.request("GET", "/identity/v3/auth/tokens", {
      token: c.demo,
      headers: { "x-subject-token": c.demo },
    })
  ).body.token.project.id
})
after(() => c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body, token = c.admin) {
  return await c.cloud.request(method, `/volume/v3${path}`, {
    token,
    headers: { "openstack-api-version": "volume 3.70" },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body, token = c.admin): Promise<Body> {
  const reply = await call(method, path, body, token)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function makeType(name: string, isPublic = true): Promise<string> {
  const wish = { name, "os-volume-type-access:is_public": isPublic }
  return (await ok("POST", "/types", { volume_type: wish })).volume_type.id
}

const ask = (volume: Body, token = c.demo) =>
  call("POST", "/volumes", { volume: { size: 1, ...volume } }, token)

async function make(wish: Body): Promise<string> {
  const reply = await ask(wish)
  assert.equal(reply.status, 202, JSON.stringify(reply.body))
  return await settled("volume", reply.body.volume.id)
}

async function settled(kind: string, id: string): Promise<string> {
  await eventually(`${kind} to be available`, async () => {
    return (await ok("GET", `/${kind}s/${id}`))[kind].status === "available"
  })
  return id
}

const limit = (limits: Body) => call("PUT", `/os-quota-sets/${project}`, { quota_set: limits })
const quota = async (query = "", token = c.demo) =>
  (await ok("GET", `/os-quota-sets/${project}${query}`, undefined, token)).quota_set
const used = async (...names: string[]) => {
  const all = await quota("?usage=true")
  return names.map((name) => all[name].in_use)
}

test("each type has limits of its own, which hold for creations, extensions, snapshots and retypes", async () => {
  await makeType("gold")
  await makeType("lead")
  assert.equal((await quota()).volumes_gold, -1)
  const set = await limit({ volumes_gold: 1, gigabytes_gold: "4", snapshots_gold: 1 })
  assert.equal(set.status, 200)
  assert.deepEqual(
    [set.body.quota_set.volumes_gold, set.body.quota_set.gigabytes_gold, set.body.quota_set.volumes_lead],
    [1, 4, -1],
  )
  const gold = await make({ volume_type: "gold", size: 1 })
  const lead = await make({ volume_type: "lead", size: 2 })
  const refused = await ask({ volume_type: "gold" })
  assert.equal(refused.status, 413)
  assert.equal(
    refused.body.overLimit.message,
    "Maximum number of volumes allowed (1) exceeded for quota 'volumes_gold'.",
  )

  const extend = (size: number) =>
    call("POST", `/volumes/${gold}/action`, { "os-extend": { new_size: size } }, c.demo)
  const tooLarge = await extend(5)
  assert.match(
    tooLarge.body.overLimit.message,
    /exceeds allowed gigabytes_gold quota. Requested 4G, quota is 4G and 1G has been consumed/,
  )
  assert.equal((await extend(2)).status, 202)
  await settled("volume", gold)

  const snap = (id: string) => call("POST", "/snapshots", { snapshot: { volume_id: id } }, c.demo)
  const first = await snap(gold)
  assert.equal(first.status, 202)
  await settled("snapshot", first.body.snapshot.id)
  const noRoom = await snap(gold)
  assert.equal(noRoom.status, 413)
  assert.match(noRoom.body.overLimit.message, /gigabytes_gold/, "of two limits Cinder names the room")
  await limit({ gigabytes_gold: 6 })
  const second = await snap(gold)
  assert.equal(second.status, 413)
  assert.match(second.body.overLimit.message, /snapshots_gold/)
  assert.deepEqual(await used("volumes_gold", "gigabytes_gold", "snapshots_gold"), [1, 4, 1])
  assert.deepEqual(await used("volumes_lead", "gigabytes_lead", "snapshots_lead"), [1, 2, 0])

  const retype = (id: string, to: string) =>
    call(
      "POST",
      `/volumes/${id}/action`,
      { "os-retype": { new_type: to, migration_policy: "never" } },
      c.demo,
    )
  assert.equal((await retype(lead, "gold")).status, 413)
  assert.equal((await ok("GET", `/volumes/${lead}`)).volume.volume_type, "lead")
  assert.equal((await limit({ volumes_lead: 2, gigabytes_lead: 5 })).status, 200)
  assert.equal((await retype(gold, "lead")).status, 413, "it comes with its snapshot: 2 + 2 + 2")
  assert.equal((await limit({ gigabytes_lead: 6 })).status, 200)
  assert.equal((await retype(gold, "lead")).status, 202)
  assert.deepEqual(await used("volumes_gold", "gigabytes_gold", "snapshots_gold"), [0, 0, 0])
  assert.deepEqual(await used("volumes_lead", "gigabytes_lead", "snapshots_lead"), [2, 6, 1])
  assert.equal(
    (await call("PUT", `/os-quota-sets/${project}`, { quota_set: { volumes_lead: 1, force: false } })).status,
    400,
  )

  await ok("DELETE", `/os-quota-sets/${project}`)
  assert.equal((await quota()).volumes_lead, -1)
  for (const id of [gold, lead]) await ok("DELETE", `/volumes/${id}?cascade=true`)
})

test("a burst of creations does not pass the limit of a type", async () => {
  await makeType("silver")
  await limit({ volumes_silver: 3 })
  const replies = await Promise.all(Array.from({ length: 8 }, () => ask({ volume_type: "silver" })))
  assert.equal(replies.filter(({ status }) => status === 202).length, 3)
  assert.equal(replies.filter(({ status }) => status === 413).length, 5)
  for (const { body } of replies)
    if (body.volume) {
      await settled("volume", body.volume.id)
      await ok("DELETE", `/volumes/${body.volume.id}`)
    }
})

test("a volume that is taken over counts for its type as well", async () => {
  const taker = (
    await c.cloud.request("GET", "/identity/v3/auth/tokens", {
      token: c.admin,
      headers: { "x-subject-token": c.admin },
    })
  ).body.token.project.id
  await makeType("copper")
  const id = await make({ volume_type: "copper" })
  await ok("PUT", `/os-quota-sets/${taker}`, { quota_set: { volumes_copper: 0 } })
  const { transfer } = await ok("POST", "/volume-transfers", { transfer: { volume_id: id } }, c.demo)
  const accept = () =>
    call("POST", `/volume-transfers/${transfer.id}/accept`, { accept: { auth_key: transfer.auth_key } })
  assert.equal((await accept()).status, 413)
  await ok("PUT", `/os-quota-sets/${taker}`, { quota_set: { volumes_copper: 1 } })
  assert.equal((await accept()).status, 202)
  await ok("DELETE", `/volumes/${id}`)
})

test("a renamed type keeps its limits, a deleted one has none, and nobody sees types of others", async () => {
  const id = await makeType("tin")
  await limit({ volumes_tin: 2 })
  await ok("PUT", "/os-quota-class-sets/default", { quota_class_set: { gigabytes_tin: 7 } })
  await ok("PUT", `/types/${id}`, { volume_type: { name: "my tin" } })
  const renamed = await quota()
  assert.deepEqual(
    [renamed["volumes_my tin"], renamed["gigabytes_my tin"], renamed.volumes_tin],
    [2, 7, undefined],
  )
  assert.equal((await ok("GET", "/os-quota-class-sets/default")).quota_class_set["gigabytes_my tin"], 7)
  assert.equal((await ok("GET", `/os-quota-sets/${project}/defaults`)).quota_set["gigabytes_my tin"], 7)
  await ok("DELETE", `/types/${id}`)
  assert.equal((await quota())["volumes_my tin"], undefined)
  const left = await c.cloud.database.db.selectFrom("quota.limit").select("resource").execute()
  assert.ok(left.every(({ resource }) => !resource.includes(id)))
  await makeType("my tin")
  assert.equal((await quota())["volumes_my tin"], -1)

  await makeType("secret", false)
  assert.equal((await quota()).volumes_secret, undefined)
  assert.equal((await quota("", c.admin)).volumes_secret, -1)
})

test("bad limits are told by their names", async () => {
  for (const [limits, pattern] of [
    [{ volumes_nothing: 1 }, /volumes_nothing: there is no such limit/],
    [{ volumes_: 1 }, /volumes_/],
    [{ backups_gold: 1 }, /backups_gold/],
    [{ volumes_gold: -2 }, /volumes_gold/],
    [{ volumes_gold: 2 ** 31 }, /volumes_gold/],
    [{ volumes_gold: "many" }, /volumes_gold/],
  ] as const) {
    for (const [path, key] of [
      [`/os-quota-sets/${project}`, "quota_set"],
      ["/os-quota-class-sets/default", "quota_class_set"],
    ] as const) {
      const reply = await call("PUT", path, { [key]: limits })
      assert.equal(reply.status, 400, JSON.stringify(limits))
      assert.match(reply.body.badRequest.message, pattern)
    }
  }
  assert.equal(
    (await call("PUT", `/os-quota-sets/${project}`, { quota_set: { volumes_gold: 1 } }, c.demo)).status,
    403,
  )
})
