// Servers over HTTP: their life, what is refused and how, and what is left when they are gone.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { eventually } from "../src/platform/clock/clock.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

const count = async (table: string, column: string, serverId: string) => {
  const found = await sql<{ n: number }>`
    select count(*) as n from ${sql.table(table)} where ${sql.ref(column)}::text = ${serverId}`.execute(
    c.cloud.database.db,
  )
  return found.rows[0]?.n
}

async function deleted(serverId: string): Promise<void> {
  assert.equal((await c.call("DELETE", `/servers/${serverId}`)).status, 204)
  await c.isGone(serverId)
}

test("a server is made, shown, and leaves nothing behind", async () => {
  const id = await c.create({ name: "vm1", metadata: { role: "web" } })
  const server = await c.reaches(id, "ACTIVE")
  assert.equal(server["OS-EXT-STS:vm_state"], "active")
  assert.equal(server["OS-EXT-STS:power_state"], 1)
  assert.equal(server["OS-EXT-SRV-ATTR:host"], "host1")
  assert.match(server["OS-EXT-SRV-ATTR:instance_name"], /^instance-[0-9a-f]{8}$/)
  assert.deepEqual(server.metadata, { role: "web" })
  const [address] = server.addresses.private
  assert.equal(address["OS-EXT-IPS:type"], "fixed")
  assert.deepEqual(server.security_groups, [{ name: "default" }])
  assert.equal(await count("placement.allocation", "consumer_id", id), 3)
  assert.equal(await count("network.port", "device_id", id), 1)
  await deleted(id)
  assert.equal(await count("placement.allocation", "consumer_id", id), 0)
  assert.equal(await count("network.port", "device_id", id), 0)
})

test("start, stop, reboot, pause, suspend: each from its own states only", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const refused = await c.act(id, { "os-start": null })
  assert.equal(refused.status, 409)
  assert.equal(
    refused.body.conflictingRequest.message,
    `Cannot 'start' instance ${id} while it is in vm_state active`,
  )
  const steps: [unknown, string][] = [
    [{ "os-stop": null }, "SHUTOFF"],
    [{ "os-start": null }, "ACTIVE"],
    [{ reboot: { type: "SOFT" } }, "ACTIVE"],
    [{ reboot: { type: "HARD" } }, "ACTIVE"],
    [{ pause: null }, "PAUSED"],
    [{ unpause: null }, "ACTIVE"],
    [{ suspend: null }, "SUSPENDED"],
    [{ resume: null }, "ACTIVE"],
    [{ suspend: null }, "SUSPENDED"],
    [{ reboot: { type: "HARD" } }, "ACTIVE"],
  ]
  for (const [action, status] of steps) {
    assert.equal((await c.act(id, action)).status, 202, JSON.stringify(action))
    await c.reaches(id, status)
  }
  const list = (await c.call("GET", `/servers/${id}/os-instance-actions`)).body.instanceActions
  assert.deepEqual(
    list.map((a: { action: string }) => a.action),
    [
      "reboot",
      "suspend",
      "resume",
      "suspend",
      "unpause",
      "pause",
      "reboot",
      "reboot",
      "start",
      "stop",
      "create",
    ],
  )
  await deleted(id)
})

test("rebuild, resize with revert and confirm, shelve, rescue", async () => {
  const id = await c.create()
  const before = await c.reaches(id, "ACTIVE")
  const steps: [unknown, string][] = [
    [{ rebuild: { imageRef: c.imageId, name: "again" } }, "ACTIVE"],
    [{ resize: { flavorRef: "1" } }, "VERIFY_RESIZE"],
    [{ revertResize: null }, "ACTIVE"],
    [{ resize: { flavorRef: "1" } }, "VERIFY_RESIZE"],
    [{ confirmResize: null }, "ACTIVE"],
    [{ shelve: null }, "SHELVED_OFFLOADED"],
    [{ unshelve: null }, "ACTIVE"],
    [{ rescue: null }, "RESCUE"],
    [{ unrescue: null }, "ACTIVE"],
  ]
  for (const [action, status] of steps) {
    const reply = await c.act(id, action)
    assert.ok(reply.status < 300, JSON.stringify([action, reply.body]))
    await c.reaches(id, status)
  }
  const after = await c.show(id)
  assert.equal(after.name, "again")
  assert.equal(after.flavor.original_name, "m1.tiny")
  assert.deepEqual(after.addresses, before.addresses)
  const held = await sql<{ c: string; used: number }>`
    select resource_class as c, used from placement.allocation where consumer_id = ${id} order by 1`.execute(
    c.cloud.database.db,
  )
  assert.deepEqual(held.rows, [
    { c: "DISK_GB", used: 1 },
    { c: "MEMORY_MB", used: 512 },
    { c: "VCPU", used: 1 },
  ])
  await deleted(id)
})

test("a resize that is not confirmed is deleted whole", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  await c.act(id, { resize: { flavorRef: "1" } })
  await c.reaches(id, "VERIFY_RESIZE")
  await deleted(id)
  const held = await sql`select from placement.allocation`.execute(c.cloud.database.db)
  assert.equal(held.rows.length, 0)
})

test("an image of a server", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const reply = await c.act(id, { createImage: { name: "snap", metadata: { purpose: "test" } } })
  assert.equal(reply.status, 202)
  const image = await eventually("the image", async () => {
    const found = await c.cloud.request("GET", `/image/v2/images/${reply.body.image_id}`, { token: c.demo })
    return found.body.status === "active" && found.body
  })
  assert.equal(image.purpose, "test")
  assert.equal(image.instance_uuid, id)
  await c.reaches(id, "ACTIVE")
  await deleted(id)
})

test("backups of a server: the newest of each kind stay", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const backups = async (kind: string) => {
    const path = `/image/v2/images?instance_uuid=${id}&image_type=backup&backup_type=${kind}&sort=created_at:asc`
    const { images } = (await c.cloud.request("GET", path, { token: c.demo })).body
    return images.map((image: { name: string; status: string }) => `${image.name} ${image.status}`)
  }
  const backup = async (name: string, kind: string, rotation: number | string) => {
    const reply = await c.act(id, { createBackup: { name, backup_type: kind, rotation } })
    assert.equal(reply.status, 202, JSON.stringify(reply.body))
    await eventually(
      "the server to be idle",
      async () => (await c.show(id))["OS-EXT-STS:task_state"] === null,
    )
  }
  await backup("week", "weekly", 1)
  for (const name of ["one", "two", "three"]) await backup(name, "daily", "2")
  await eventually("the rotation", async () => (await backups("daily")).length === 2)
  assert.deepEqual(await backups("daily"), ["two active", "three active"])
  assert.deepEqual(await backups("weekly"), ["week active"])
  // One that is protected outlives its turn.
  const path = `/image/v2/images?name=two`
  const two = (await c.cloud.request("GET", path, { token: c.demo })).body.images[0].id
  await c.cloud.request("PATCH", `/image/v2/images/${two}`, {
    token: c.demo,
    headers: { "content-type": "application/openstack-images-v2.1-json-patch" },
    body: [{ op: "replace", path: "/protected", value: true }],
  })
  await backup("four", "daily", 1)
  await eventually("the rotation", async () => (await backups("daily")).length === 2)
  assert.deepEqual(await backups("daily"), ["two active", "four active"])
  await backup("none", "weekly", 0)
  await eventually("the rotation", async () => (await backups("weekly")).length === 0)
  assert.equal((await c.act(id, { createBackup: { name: "x", backup_type: "daily" } })).status, 400)
  const wrong = { createBackup: { name: "x", backup_type: "daily", rotation: -1 } }
  assert.equal((await c.act(id, wrong)).status, 400)
  await deleted(id)
})

test("a lock keeps its owner out until it is taken away", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  assert.equal((await c.act(id, { lock: { locked_reason: "mine" } })).status, 202)
  assert.equal((await c.show(id)).locked_reason, "mine")
  const refused = await c.call("DELETE", `/servers/${id}`)
  assert.equal(refused.status, 409)
  assert.equal(refused.body.conflictingRequest.message, `Instance ${id} is locked`)
  assert.equal((await c.act(id, { unlock: null })).status, 202)
  // Before 2.73 there was no reason, and what stood there was passed over.
  const old = { lock: { locked_reason: 5 } }
  assert.equal((await c.call("POST", `/servers/${id}/action`, old, { version: "2.72" })).status, 202)
  assert.equal((await c.show(id)).locked_reason, null)
  assert.equal((await c.act(id, { unlock: null })).status, 202)
  await deleted(id)
})

test("what is another project's is not there", async () => {
  const id = await c.create({}, { token: c.admin })
  const wrong: [string, string, unknown?][] = [
    ["GET", `/servers/${id}`],
    ["DELETE", `/servers/${id}`],
    ["POST", `/servers/${id}/action`, { "os-stop": null }],
    ["GET", `/servers/${id}/metadata`],
    ["GET", `/servers/${id}/os-interface`],
  ]
  for (const [method, path, body] of wrong) assert.equal((await c.call(method, path, body)).status, 404, path)
  assert.deepEqual((await c.call("GET", "/servers")).body.servers, [])
  assert.equal((await c.call("GET", "/servers?all_tenants=1")).status, 403)
  const all = await c.call("GET", "/servers?all_tenants=1", undefined, { token: c.admin })
  assert.ok(all.body.servers.some((s: { id: string }) => s.id === id))
  await c.reaches(id, "ACTIVE")
  await c.call("DELETE", `/servers/${id}`, undefined, { token: c.admin })
  await eventually(
    "gone",
    async () => (await c.call("GET", `/servers/${id}`, undefined, { token: c.admin })).status === 404,
  )
})

test("bad requests say what is wrong", async () => {
  const base = { name: "x", imageRef: c.imageId, flavorRef: "42", networks: "none" }
  const wrong: [Record<string, unknown>, number, RegExp][] = [
    [{ flavorRef: "nope" }, 400, /Flavor nope could not be found/],
    [{ imageRef: "11111111-0000-4000-8000-000000000000" }, 400, /Image .* could not be found/],
    [{ name: "" }, 400, /name/],
    [{ nonsense: 1 }, 400, /'nonsense' was unexpected/],
    [{ key_name: "none" }, 400, /Invalid key_name provided/],
    [{ user_data: "not base64!" }, 400, /user_data/],
    [{ user_data: `${" ".repeat(65_000)}!` }, 400, /user_data/],
    [{ user_data: `${" ".repeat(65_000)}===` }, 400, /valid base 64/],
    [{ min_count: 3, max_count: 2 }, 400, /min_count must be <= max_count/],
    [{ availability_zone: "mars" }, 400, /availability zone is not available/],
    [{ availability_zone: "nova:host1" }, 403, /forced_host/],
    [{ networks: [{ uuid: "11111111-0000-4000-8000-000000000000" }] }, 400, /could not be found/],
    [{ security_groups: [{ name: "none" }] }, 400, /none/],
    [
      { imageRef: undefined, block_device_mapping_v2: [{ source_type: "volume", uuid: "a" }] },
      400,
      /Boot sequence/,
    ],
  ]
  for (const [attributes, status, message] of wrong) {
    // Of this process, whose server it is: others are nothing to it.
    const began = process.cpuUsage()
    const reply = await c.call("POST", "/servers", { server: { ...base, ...attributes } })
    assert.equal(reply.status, status, JSON.stringify([attributes, reply.body]))
    assert.match(JSON.stringify(reply.body), message)
    assert.ok(process.cpuUsage(began).user < 3_000_000, JSON.stringify(attributes).slice(0, 80))
  }
  assert.deepEqual((await c.call("GET", "/servers")).body.servers, [])
  const malformed = await c.call("POST", "/servers", "{")
  assert.equal(malformed.status, 400)
  assert.equal((await c.call("GET", "/servers", undefined, { version: "2.999" })).status, 406)
  assert.equal((await c.call("GET", "/servers/not-an-id")).status, 404)
  // Whether it is there comes before what is asked of it.
  assert.equal((await c.act("11111111-0000-4000-8000-000000000000", { nonsense: null })).status, 404)
  const id = await c.create()
  assert.equal((await c.act(id, { nonsense: null })).status, 400)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("paths with the project in them, which must be the token's", async () => {
  const id = await c.create()
  const { tenant_id: own } = await c.show(id)
  for (const version of ["v2.1", "v2"]) {
    const get = (path: string) => c.cloud.request("GET", `/compute/${version}/${path}`, { token: c.demo })
    const list = await get(`${own}/servers/detail?limit=1`)
    assert.deepEqual([list.status, list.body.servers?.[0]?.id], [200, id])
    assert.equal((await get(`${own}/flavors`)).status, 200)
    const root = await get(`${own}/`)
    assert.equal(root.status, 200, JSON.stringify(root.body))
    assert.equal((await get(`${own}/nonsense`)).status, 404)
    const others = await get(`${own.replace(/.$/, own.endsWith("0") ? "1" : "0")}/servers`)
    assert.equal(others.status, 400)
    assert.match(others.body.badRequest.message, /Malformed request URL: URL's project_id/)
  }
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("several at once have one reservation, their own names, and stay within the quota", async () => {
  const server = { name: "m", imageRef: c.imageId, flavorRef: "42", networks: "auto", min_count: 3 }
  const reply = await c.call("POST", "/servers", { server: { ...server, return_reservation_id: true } })
  assert.equal(reply.status, 202)
  const path = `/servers/detail?reservation_id=${reply.body.reservation_id}`
  const servers = await eventually("three", async () => {
    const list = (await c.call("GET", path)).body.servers
    return list.every((s: { status: string }) => s.status === "ACTIVE") && list
  })
  assert.deepEqual(servers.map((s: { name: string }) => s.name).sort(), ["m-1", "m-2", "m-3"])
  const tooMany = await c.call("POST", "/servers", { server: { ...server, min_count: 8 } })
  assert.equal(tooMany.status, 403)
  assert.equal(
    tooMany.body.forbidden.message,
    "Quota exceeded for instances: Requested 8, but already used 3 of 10 instances",
  )
  // As many as there is room for, between the two numbers.
  const some = await c.call("POST", "/servers", {
    server: { ...server, min_count: 1, max_count: 900, return_reservation_id: true },
  })
  assert.equal(some.status, 202)
  const made = await c.call("GET", `/servers?reservation_id=${some.body.reservation_id}`)
  assert.equal(made.body.servers.length, 7)
  for (const { id } of (await c.call("GET", "/servers")).body.servers)
    await c.call("DELETE", `/servers/${id}`)
  await eventually("none", async () => (await c.call("GET", "/servers")).body.servers.length === 0)
})
