// What users see when a host, a guest or the cloud itself fails.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { sql } from "kysely"
import { isHostUp } from "../src/compute/host/host.ts"
import { reconcileMachines } from "../src/compute/host/machines.reconciler.ts"
import { selectHost, selectHosts } from "../src/compute/host/store.ts"
import { explainServer, serveMetadata } from "../src/compute/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { startServerCloud } from "./server-cloud.ts"

test("a server that no host can start is in error, says why, and leaves nothing", async () => {
  await using c = await startServerCloud()
  c.cloud.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 100 } })
  const id = await c.create()
  const server = await c.reaches(id, "ERROR")
  assert.match(server.fault.message, /No valid host was found/)
  assert.equal(server.fault.code, 500)
  const { db } = c.cloud.database
  const left = await sql`select from placement.allocation where consumer_id = ${id}
    union all select from network.port where device_id = ${id}`.execute(db)
  assert.equal(left.rows.length, 0)
  const failedBuilds = async () =>
    (await sql<{ n: number }>`select failed_builds as n from compute.host`.execute(db)).rows[0]?.n
  assert.equal(await failedBuilds(), 1, "the scheduler prefers other hosts")
  c.cloud.hypervisor.setControl({ fail: { operation: "ensure", at: 1, times: 0 } })
  await c.reaches(await c.create(), "ACTIVE")
  assert.equal(await failedBuilds(), 0)
  const refused = await c.act(id, { "os-stop": null })
  assert.equal(refused.status, 409)
  assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  await c.isGone(id)
})

test("the fault of a server tells its user nothing about hosts", async () => {
  await using c = await startServerCloud()
  const { db } = c.cloud.database
  await sql`update compute.host set is_disabled = true`.execute(db)
  const id = await c.create()
  const { fault } = await c.reaches(id, "ERROR")
  const server = await c.show(id)
  assert.equal(server.fault.message, "No valid host was found. There are not enough hosts available.")
  assert.ok(!JSON.stringify(server).includes("host1"))
  assert.match(fault.details, /smallest change: host1: enable it/, "administrators read it with the server")
  const { rows } = await sql<{ cause: string }>`select data->>'cause' as cause from engine.saga_event
    where kind = 'do_failed'`.execute(db)
  assert.match(
    rows[0]?.cause ?? "",
    /host1: ComputeFilter: it is disabled/,
    "who runs the cloud can find out",
  )
})

test("a flavor larger than every host: what is missing is said, to users and to operators", async () => {
  await using c = await startServerCloud()
  const flavor = { name: "huge", vcpus: 4_096, ram: 64, disk: 1 }
  const { body } = await c.call("POST", "/flavors", { flavor }, { token: c.admin })
  const { project } = (
    await c.cloud.request("GET", "/identity/v3/auth/projects", { token: c.admin })
  ).body.projects.map((project: { id: string }) => ({ project: project.id }))[0]
  await c.call("PUT", `/os-quota-sets/${project}`, { quota_set: { cores: -1 } }, { token: c.admin })
  const id = await c.create({ flavorRef: body.flavor.id }, { token: c.admin })
  const { fault } = await c.reaches(id, "ERROR")
  assert.equal(fault.message, "No valid host was found. No host has 4096 vCPUs free.")
  assert.match(fault.details, /VCPU refuses 1 of 1 hosts; 4096 vCPUs wanted, \d+ at the most/)
  const told = await explainServer(c.cloud.cloud.platform, id)
  assert.equal(told.forUser, "No host has 4096 vCPUs free.")
  assert.deepEqual(
    told.reasons.map(({ by }) => by),
    ["VCPU"],
  )
})

test("what the network refuses is said, and no other host is tried", async () => {
  await using c = await startServerCloud()
  const neutron = async (path: string, body: unknown) =>
    (await c.cloud.request("POST", `/network/v2.0/${path}`, { token: c.demo, body })).body
  const { network } = await neutron("networks", { network: { name: "small" } })
  // One address beside that of the network's own port.
  const allocation_pools = [{ start: "192.0.2.10", end: "192.0.2.11" }]
  const subnet = { network_id: network.id, ip_version: 4, cidr: "192.0.2.0/24", allocation_pools }
  await neutron("subnets", { subnet })
  const networks = [{ uuid: network.id }]
  await c.reaches(await c.create({ networks }), "ACTIVE")
  const id = await c.create({ networks })
  const { fault } = await c.reaches(id, "ERROR")
  assert.equal(fault.message, `No more IP addresses available on network ${network.id}.`)
  const { rows } = await sql`select id from engine.saga where resource_id = ${id}`.execute(
    c.cloud.database.db,
  )
  assert.equal(rows.length, 1)
})

test("a guest that is killed or switched off from within shows as shut off", async () => {
  await using c = await startServerCloud()
  const [killed, off] = [await c.create(), await c.create()]
  for (const id of [killed, off]) await c.reaches(id, "ACTIVE")
  c.cloud.hypervisor.losePower([killed])
  c.cloud.hypervisor.guestPowersOff(off)
  for (const id of [killed, off]) await c.reaches(id, "SHUTOFF")
  await c.act(killed, { "os-start": null })
  await c.reaches(killed, "ACTIVE")
})

const reconcile = (c: Awaited<ReturnType<typeof startServerCloud>>) =>
  reconcileMachines(c.cloud.cloud.platform, new AbortController().signal)
const machinesOf = async (c: Awaited<ReturnType<typeof startServerCloud>>) =>
  (await c.cloud.cloud.agent.agent.handle("vm.list", {})).map((machine) => machine.serverId).sort()

test("what an abandoned creation left on a host is removed by the next pass", async () => {
  await using c = await startServerCloud()
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  // As `abandonTask` leaves the row when the host did not answer while the creation was undone.
  await sql`update compute.server set host = null, vm_state = 'error' where id = ${id}`.execute(
    c.cloud.database.db,
  )
  const status = await reconcile(c)
  assert.deepEqual([status.destroyed, status.failed, status.unreachable], [1, 0, 0])
  assert.deepEqual(await machinesOf(c), [])
})

test("whether a host lives is told by the database's clock, whatever the host's says", async () => {
  await using c = await startServerCloud()
  const { bus } = c.cloud.cloud.platform
  const { db } = c.cloud.database
  const [known] = await selectHosts(db)
  assert.ok(known)
  for (const [host, at] of [
    ["ahead", "2100-01-01T00:00:00Z"],
    ["behind", "1970-01-01T00:00:00Z"],
  ]) {
    await bus.publish("agent.report", {
      kind: "alive",
      host,
      at,
      description: { ...known.description, host },
    })
  }
  const isUp = async (name: string) => {
    const host = await selectHost(db, name)
    return host && isHostUp(host, c.cloud.cloud.platform.config.compute.serviceDownAfterMs)
  }
  for (const name of ["ahead", "behind"]) await eventually(name, () => isUp(name))
  await sql`update compute.host set last_seen_at = now() - interval '2 minutes' where name = 'ahead'`.execute(
    db,
  )
  assert.equal(await isUp("ahead"), false)
})

test("many removals at once are none; one machine that fails keeps no other from being put right", async () => {
  await using c = await startServerCloud()
  const ids = [await c.create(), await c.create(), await c.create()]
  for (const id of ids) await c.reaches(id, "ACTIVE")
  const { db } = c.cloud.database
  await sql`update compute.server set deleted_at = now(), vm_state = 'deleted'
    where id = any(${ids.slice(0, 2)}::uuid[])`.execute(db)
  const held = await reconcile(c)
  assert.deepEqual([held.destroyed, held.held], [0, 2])
  assert.deepEqual(await machinesOf(c), [...ids].sort())
  // One is deleted and cannot be removed; the other was switched off while nobody looked.
  await sql`update compute.server set deleted_at = null, vm_state = 'paused' where id = ${ids[0]}`.execute(db)
  c.cloud.hypervisor.setControl({ fail: { operation: "destroy", at: 1, times: 1 } })
  const status = await reconcile(c)
  assert.deepEqual([status.destroyed, status.failed, status.synced], [0, 1, 1])
  assert.equal((await reconcile(c)).destroyed, 1)
})

test("the state that an accepted action promises shows at once", async () => {
  await using c = await startServerCloud()
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const actions: [object, string, string][] = [
    [{ reboot: { type: "SOFT" } }, "REBOOT", "ACTIVE"],
    [{ reboot: { type: "HARD" } }, "HARD_REBOOT", "ACTIVE"],
    [{ rebuild: { imageRef: c.imageId } }, "REBUILD", "ACTIVE"],
    [{ resize: { flavorRef: "1" } }, "RESIZE", "VERIFY_RESIZE"],
    [{ revertResize: null }, "REVERT_RESIZE", "ACTIVE"],
  ]
  for (const [action, during, after] of actions) {
    c.cloud.hypervisor.setControl({ delayMs: 600_000 })
    assert.equal((await c.act(id, action)).status, 202)
    assert.equal((await c.show(id)).status, during)
    c.cloud.hypervisor.setControl({ delayMs: 0 })
    await c.reaches(id, after)
  }
})

test("a delete in the middle of a creation wins, and nothing is left", async () => {
  await using c = await startServerCloud()
  c.cloud.hypervisor.setControl({ delayMs: 600_000 })
  const ids = await Promise.all(Array.from({ length: 5 }, () => c.create()))
  await eventually("all to be under way", () => c.cloud.hypervisor.underWay === ids.length)
  for (const id of ids) assert.equal((await c.call("DELETE", `/servers/${id}`)).status, 204)
  c.cloud.hypervisor.setControl({ delayMs: 0 })
  for (const id of ids) await c.isGone(id)
  const { db } = c.cloud.database
  await eventually("nothing left", async () => {
    const left = await sql`select from placement.allocation where consumer_id = any(${ids}::uuid[])
      union all select from network.port where device_id = any(${ids}::text[])`.execute(db)
    const running = await sql`select from engine.saga where state not in ('done', 'unwound')`.execute(db)
    return left.rows.length === 0 && running.rows.length === 0
  })
})

test("a cloud that stops in the middle of creations finishes them when it is back", async () => {
  const first = await startServerCloud({ overrides: { "engine.sagaConcurrency": 3 } })
  first.cloud.hypervisor.setControl({ delayMs: 600_000 })
  const ids = await Promise.all(Array.from({ length: 8 }, () => first.create()))
  // The others have not begun.
  await eventually("some to be under way", () => first.cloud.hypervisor.underWay === 3)
  const stopping = first.cloud.stop()
  await eventually("its door to be shut", () =>
    fetch(first.cloud.baseUrl).then(
      () => false,
      () => true,
    ),
  )
  first.cloud.hypervisor.setControl({ delayMs: 0 })
  await stopping
  await using second = await startServerCloud({ continueFrom: first.cloud })
  for (const id of ids) await second.reaches(id, "ACTIVE")
  const { body } = await second.call("GET", "/servers/detail")
  assert.equal(body.servers.length, 8)
})

function read(socketPath: string, path: string, headers: Record<string, string>, posted?: string) {
  return new Promise<{ status: number; body: string }>((resolve, reject) => {
    const method = posted === undefined ? "GET" : "POST"
    request({ socketPath, path, headers, method, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text
      })
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
    })
      .on("error", reject)
      .end(posted)
  })
}

test("the metadata service knows a guest by its address and network", async () => {
  await using c = await startServerCloud()
  const key = await c.call("POST", "/os-keypairs", {
    keypair: { name: "mine", type: "ssh", public_key: sshKey },
  })
  assert.ok(key.status < 300, JSON.stringify(key.body))
  const userData = Buffer.from("#!/bin/sh\ntrue\n").toString("base64")
  const id = await c.create({ name: "meta", key_name: "mine", user_data: userData, config_drive: true })
  const server = await c.reaches(id, "ACTIVE")
  const [nic] = (await c.call("GET", `/servers/${id}/os-interface`)).body.interfaceAttachments
  const dir = await mkdtemp(join(tmpdir(), "kumoi-metadata-"))
  try {
    await using _service = await serveMetadata(c.cloud.cloud.platform, { socketPath: join(dir, "s") })
    const headers = {
      "x-forwarded-for": server.addresses.private[0].addr,
      "x-kumoi-network-id": nic.net_id,
    }
    const get = (path: string, h: Record<string, string> = headers) => read(join(dir, "s"), path, h)
    const data = JSON.parse((await get("/openstack/latest/meta_data.json")).body)
    assert.equal(data.uuid, id)
    assert.equal(data.public_keys.mine, sshKey)
    assert.equal((await get("/openstack/latest/user_data")).body, "#!/bin/sh\ntrue\n")
    assert.equal((await get("/latest/meta-data/local-ipv4")).body, headers["x-forwarded-for"])
    const network = JSON.parse((await get("/openstack/latest/network_data.json")).body)
    assert.equal(network.links[0].ethernet_mac_address, nic.mac_addr)
    assert.equal((await get("/nothing")).status, 404)
    const password = "/openstack/2013-10-17/password"
    const post = async (text: string, path = password) =>
      (await read(join(dir, "s"), path, headers, text)).status
    const kept = async () => (await c.call("GET", `/servers/${id}/os-server-password`)).body.password
    assert.equal((await get(password)).body, "")
    assert.equal(await post("x".repeat(1_021)), 400)
    assert.equal(await post("secret"), 200)
    assert.equal(await post("other"), 409)
    assert.equal((await get(password)).body, "secret")
    assert.equal(await kept(), "secret")
    assert.equal((await c.call("DELETE", `/servers/${id}/os-server-password`)).status, 204)
    assert.equal(await kept(), "")
    assert.equal(await post("other", "/openstack/latest/password"), 200)
    assert.equal(await kept(), "other")
    assert.equal(await post("x", "/openstack/2012-08-10/password"), 405)
    assert.equal(await post("x", "/openstack/latest/meta_data.json"), 405)
    assert.equal((await get("/latest/", { ...headers, "x-forwarded-for": "192.0.2.99" })).status, 404)
    assert.equal((await get("/latest/", { "x-forwarded-for": headers["x-forwarded-for"] })).status, 404)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJp0lLb5ZQYbQ2W0h9Q6mYy0hQe6C0V2r3yYwU1S0rXk test@kumoi"

test("a console of a kind that there is none of is a wrong type, in every version", async () => {
  await using c = await startServerCloud()
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const old = { version: "2.5" }
  for (const [action, type] of [
    ["os-getSPICEConsole", "spice-html5"],
    ["os-getRDPConsole", "rdp-html5"],
  ] as const) {
    const reply = await c.act(id, { [action]: { type } }, old)
    assert.equal(reply.status, 400)
    assert.equal(reply.body.badRequest.message, `Unavailable console type ${type}.`)
    assert.match((await c.act(id, { [action]: { type: "tv" } }, old)).body.badRequest.message, /type/)
    assert.equal((await c.act(id, { [action]: { type } })).status, 404, "gone in 2.6")
  }
  const ask = (server: string, type: string, version?: string) =>
    c.call(
      "POST",
      `/servers/${server}/remote-consoles`,
      { remote_console: { protocol: type === "webmks" ? "mks" : type === "novnc" ? "vnc" : "spice", type } },
      version ? { version } : {},
    )
  for (const type of ["spice-html5", "webmks"]) {
    const reply = await ask(id, type)
    assert.equal(reply.status, 400)
    assert.equal(reply.body.badRequest.message, `Unavailable console type ${type}.`)
  }
  assert.match((await ask(id, "webmks", "2.6")).body.badRequest.message, /protocol/)
  assert.equal((await ask(id, "novnc", "2.5")).status, 404)
  assert.equal((await ask(randomUUID(), "novnc")).status, 404)
})
