// What is done to the guest of a server that runs, and the older name of servers.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { eventually } from "../src/platform/clock/clock.ts"
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

const asAdmin = () => ({ token: c.admin })
const consoleOf = async () => (await c.act(id, { "os-getConsoleOutput": {} })).body.output as string

/** How the newest action of this name ended: null when it went well. */
const ended = (action: string) =>
  eventually(`${action} to end`, async () => {
    const { rows } = await sql<{ message: string | null; finished_at: Date | null }>`
      select message, finished_at from compute.server_action where server_id = ${id} and action = ${action}
      order by id desc limit 1`.execute(c.cloud.database.db)
    return rows[0]?.finished_at ? [rows[0].message] : false
  })

test("a new password reaches the guest, and stands nowhere", async () => {
  const reply = await c.act(id, { changePassword: { adminPass: "n3w-s3cret" } })
  assert.equal(reply.status, 202)
  assert.match(await consoleOf(), /password of root changed/)
  assert.deepEqual(await ended("changePassword"), [null])
  const { rows } = await sql`select from engine.saga where params::text like '%n3w-s3cret%'`.execute(
    c.cloud.database.db,
  )
  assert.deepEqual(rows, [])
  assert.equal((await c.act(id, { changePassword: {} })).status, 400)
  assert.equal((await c.act(id, { changePassword: { adminPass: 7 } })).status, 400)
  assert.equal((await c.act(newUuid(), { changePassword: { adminPass: "x" } })).status, 404)
  await c.act(id, { lock: null })
  await c.act(id, { lock: null }, asAdmin())
  assert.equal((await c.act(id, { changePassword: { adminPass: "x" } })).status, 409)
  await c.act(id, { unlock: null }, asAdmin())
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  const off = await c.act(id, { changePassword: { adminPass: "x" } })
  assert.equal(off.status, 409)
  assert.match(off.body.conflictingRequest.message, /'changePassword' instance .* in vm_state stopped/)
  await c.act(id, { "os-start": null })
  await c.reaches(id, "ACTIVE")
})

test("a guest that has no agent, or refuses, is a conflict that the server's actions tell", async () => {
  c.cloud.hypervisor.setControl({ fail: { operation: "setPassword", at: 1 } })
  const reply = await c.act(id, { changePassword: { adminPass: "x" } })
  c.cloud.hypervisor.setControl({ fail: null })
  assert.ok(reply.status >= 400, String(reply.status))
  assert.deepEqual(await ended("changePassword"), ["Error"])
  await c.reaches(id, "ACTIVE")
})

test("a crash dump is an interrupt for the guest", async () => {
  const reply = await c.act(id, { trigger_crash_dump: null })
  assert.equal(reply.status, 202)
  assert.deepEqual(await ended("trigger_crash_dump"), [null])
  assert.match(await consoleOf(), /NMI received/)
  assert.equal((await c.act(id, { trigger_crash_dump: null }, { version: "2.16" })).status, 404)
  assert.equal((await c.act(id, { trigger_crash_dump: {} })).status, 400)
  await c.act(id, { "os-stop": null })
  await c.reaches(id, "SHUTOFF")
  assert.equal((await c.act(id, { trigger_crash_dump: null })).status, 409)
  await c.act(id, { "os-start": null })
  await c.reaches(id, "ACTIVE")
})

test("the network is told of a server anew", async () => {
  assert.equal((await c.act(id, { injectNetworkInfo: null }, asAdmin())).status, 202)
  assert.equal((await c.act(id, { injectNetworkInfo: null })).status, 403)
  assert.equal((await c.act(newUuid(), { injectNetworkInfo: null }, asAdmin())).status, 404)
})

test("what is left of a server that could not leave its host when it was shelved", async () => {
  assert.equal((await c.act(id, { shelveOffload: null })).status, 403)
  const early = await c.act(id, { shelveOffload: null }, asAdmin())
  assert.equal(early.status, 409)
  assert.match(early.body.conflictingRequest.message, /'shelveOffload' instance .* in vm_state active/)
  await c.act(id, { shelve: null })
  await c.reaches(id, "SHELVED_OFFLOADED")
  await sql`update compute.server set vm_state = 'shelved', host = 'host1' where id = ${id}`.execute(
    c.cloud.database.db,
  )
  assert.equal((await c.act(id, { shelveOffload: null }, asAdmin())).status, 202)
  await c.reaches(id, "SHELVED_OFFLOADED")
  await c.act(id, { unshelve: null })
  await c.reaches(id, "ACTIVE")
})

test("servers have another name", async () => {
  const old = (method: string, below = "", body?: unknown) =>
    c.call(method, `/os-volumes_boot${below}`, body, { version: "2.96" })
  const { servers } = (await old("GET")).body
  assert.deepEqual(
    servers.map((server: { id: string }) => server.id),
    [id],
  )
  assert.equal((await old("GET", `/${id}`)).body.server.id, id)
  assert.equal((await old("GET", "/detail?name=vm")).body.servers.length, 1)
  assert.equal((await old("GET", `/${newUuid()}`)).status, 404)
  const wish = { name: "old", imageRef: c.imageId, flavorRef: c.flavorId, networks: "none" }
  const made = await old("POST", "", { server: wish })
  assert.equal(made.status, 202)
  const other = made.body.server.id
  assert.match(made.headers.get("location") ?? "", /\/servers\//)
  await c.reaches(other, "ACTIVE")
  assert.equal((await old("PUT", `/${other}`, { server: { name: "renamed" } })).body.server.name, "renamed")
  assert.equal((await old("POST", `/${other}/action`, { "os-stop": null })).status, 202)
  await c.reaches(other, "SHUTOFF")
  assert.equal((await old("DELETE", `/${other}`)).status, 204)
  await c.isGone(other)
})

test("a version's document has a path of its own, too", async () => {
  const one = await c.call("GET", "/versions/v2.1")
  assert.equal(one.body.version.id, "v2.1")
  assert.equal((await c.call("GET", "/versions/v2.0")).body.version.id, "v2.0")
  assert.equal((await c.call("GET", "/versions/v3")).status, 404)
})
