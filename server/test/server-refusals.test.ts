// What is asked of servers and not done here, or not to be done by this cloud: refused as Nova refuses it, after all
// that comes before.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
let id: string
before(async () => {
  c = await startServerCloud()
  id = await c.create()
  await c.reaches(id, "ACTIVE")
})
after(async () => await c[Symbol.asyncDispose]())

const asAdmin = (version = "2.96") => ({ token: c.admin, version })
const live = (host: string | null) => ({ "os-migrateLive": { host, block_migration: "auto" } })

async function refusal(action: unknown, how = asAdmin(), serverId = id): Promise<[number, string]> {
  const { status, body } = await c.act(serverId, action, how)
  // biome-ignore lint/suspicious/noExplicitAny: a fault's one member has any of several names
  const [fault] = Object.values(body ?? {}) as any[]
  return [status, fault?.message ?? ""]
}

test("no other host takes a server", async () => {
  // The scheduler is asked, later.
  const bodies = [
    [{ migrate: null }, "2.96"],
    [{ migrate: { any: "thing" } }, "2.55"],
    [live(null), "2.96"],
  ] as const
  for (const [body, version] of bodies) {
    assert.equal((await refusal(body, asAdmin(version)))[0], 202)
    await c.reaches(id, "ACTIVE")
  }
  assert.deepEqual(await refusal({ migrate: { host: "nowhere" } }), [
    400,
    "Compute host nowhere could not be found.",
  ])
  assert.deepEqual(await refusal({ migrate: { host: "host1" } }), [
    400,
    "Cannot migrate to the host where the server exists.",
  ])
  assert.deepEqual(await refusal(live("host1")), [
    400,
    `Unable to migrate instance (${id}) to current host (host1).`,
  ])
  const forced = { "os-migrateLive": { host: null, block_migration: true, force: true } }
  assert.deepEqual(await refusal(forced, asAdmin("2.30")), [400, "Can't force to a non-provided destination"])
  // Each microversion has its own body.
  assert.equal((await refusal(forced))[0], 400)
  assert.equal((await refusal(live(null), asAdmin("2.24")))[0], 400)
  const old = { "os-migrateLive": { host: null, block_migration: false, disk_over_commit: false } }
  assert.match((await refusal(old, asAdmin("2.1")))[1], / is not on shared storage/)
  assert.equal((await refusal({ migrate: null }, { token: c.demo, version: "2.96" }))[0], 403)
  assert.equal((await refusal({ migrate: null }, asAdmin(), newUuid()))[0], 404)
  assert.equal((await c.show(id)).status, "ACTIVE")
})

test("a server is not evacuated from a host that is up", async () => {
  assert.deepEqual(await refusal({ evacuate: {} }), [400, "Compute service of host1 is still in use."])
  assert.deepEqual(await refusal({ evacuate: { host: "nowhere" } }), [404, "Compute host nowhere not found."])
  assert.deepEqual(await refusal({ evacuate: { host: "host1" } }), [
    400,
    "The target host can't be the same one.",
  ])
  const shared = { evacuate: { onSharedStorage: "True", adminPass: "secret" } }
  assert.deepEqual(await refusal(shared, asAdmin("2.13")), [
    400,
    "admin password can't be changed on existing disk",
  ])
  assert.equal((await refusal(shared, asAdmin("2.14")))[0], 400)
  assert.deepEqual(await refusal({ evacuate: { force: true } }, asAdmin("2.29")), [
    400,
    "Can't force to a non-provided destination",
  ])
  assert.equal((await refusal({ evacuate: {} }, { token: c.demo, version: "2.96" }))[0], 403)
})

test("no live migration is under way", async () => {
  const path = `/servers/${id}/migrations`
  const ask = (method: string, below: string, body?: unknown, version = "2.96", token = c.admin) =>
    c.call(method, `${path}${below}`, body, { token, version })
  assert.deepEqual((await ask("GET", "")).body, { migrations: [] })
  assert.equal((await ask("GET", "", undefined, "2.22")).status, 404)
  assert.equal((await ask("GET", "", undefined, "2.96", c.demo)).status, 403)
  const missing = await ask("GET", "/1234")
  assert.deepEqual(
    [missing.status, missing.body.itemNotFound.message],
    [404, `In-progress live migration 1234 is not found for server ${id}.`],
  )
  const abort = await ask("DELETE", "/1234")
  assert.equal(abort.status, 409)
  assert.match(abort.body.conflictingRequest.message, /'abort live migration' .* in task_state None$/)
  const force = await ask("POST", "/1234/action", { force_complete: null })
  assert.equal(force.status, 409)
  assert.equal((await ask("POST", "/1234/action", { paint: null })).status, 400)
  assert.equal((await c.call("GET", `/servers/${newUuid()}/migrations`, undefined, asAdmin())).status, 404)

  await c.act(id, { resize: { flavorRef: "1" } })
  await c.reaches(id, "VERIFY_RESIZE")
  const { migrations } = (await c.call("GET", "/os-migrations", undefined, asAdmin())).body
  const resize = await ask("GET", `/${migrations[0].id}`)
  assert.deepEqual(
    [resize.status, resize.body.itemNotFound.message],
    [404, `Migration ${migrations[0].id} for server ${id} is not live-migration.`],
  )
  await c.act(id, { revertResize: null })
  await c.reaches(id, "ACTIVE")
})

test("a server's topology has no nodes", async () => {
  const path = `/servers/${id}/topology`
  assert.deepEqual((await c.call("GET", path)).body, { nodes: [], pagesize_kb: null })
  assert.equal((await c.call("GET", path, undefined, { version: "2.77" })).status, 404)
  assert.equal((await c.call("GET", `/servers/${newUuid()}/topology`)).status, 404)
})

test("snapshots of volumes are not the hypervisor's affair", async () => {
  const create_info = { snapshot_id: newUuid(), type: "qcow2", new_file: "file" }
  const make = (volume_id: string, token = c.admin) =>
    c.call("POST", "/os-assisted-volume-snapshots", { snapshot: { volume_id, create_info } }, { token })
  const volumeId = newUuid()
  const none = await make(volumeId)
  assert.deepEqual(
    [none.status, none.body.badRequest.message],
    [400, `No volume Block Device Mapping with id ${volumeId}.`],
  )
  assert.equal((await make(volumeId, c.demo)).status, 403)
  const remove = (query: string) =>
    c.call("DELETE", `/os-assisted-volume-snapshots/${newUuid()}${query}`, undefined, asAdmin())
  assert.equal((await remove("")).status, 400)
  assert.equal((await remove(`?delete_info=${encodeURIComponent("[]")}`)).status, 400)
  const info = encodeURIComponent(JSON.stringify({ volume_id: volumeId }))
  assert.match((await remove(`?delete_info=${info}`)).body.badRequest.message, /^No volume Block Device/)
})

test("there is no bare metal service", async () => {
  const ask = (method: string, below = "", body?: unknown, how = asAdmin("2.35")) =>
    c.call(method, `/os-baremetal-nodes${below}`, body, how)
  assert.equal((await ask("GET")).status, 501)
  assert.equal((await ask("GET", "/node")).status, 501)
  assert.equal((await ask("GET", "", undefined, { token: c.demo, version: "2.1" })).status, 403)
  const made = await ask("POST", "", { node: {} })
  assert.equal(made.status, 400)
  assert.match(
    made.body.badRequest.message,
    /^Command not supported\. Please use Ironic command node-create /,
  )
  assert.match((await ask("DELETE", "/node")).body.badRequest.message, / node-delete /)
  const added = await ask("POST", "/node/action", { add_interface: {} })
  assert.match(added.body.badRequest.message, / port-create /)
  assert.equal((await ask("POST", "/node/action", { paint: {} })).status, 400)
  assert.equal((await ask("GET", "", undefined, asAdmin("2.36"))).status, 404)
  assert.equal((await ask("POST", "", {}, asAdmin("2.36"))).status, 404)
})
