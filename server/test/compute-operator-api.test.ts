// What operators see of servers that change their size, and of the hosts that they are on; and what others tell us.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { newUuid } from "../src/platform/ids/ids.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud()
})
after(async () => {
  await c[Symbol.asyncDispose]()
})

const asAdmin = async (path: string, version = "2.96") =>
  await c.call("GET", path, undefined, { token: c.admin, version })
const migrations = async (query: string, version?: string) =>
  (await asAdmin(`/os-migrations${query}`, version)).body.migrations

test("each change of size is listed with how it ended", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  for (const end of ["revertResize", "confirmResize"]) {
    await c.act(id, { resize: { flavorRef: "1" } })
    await c.reaches(id, "VERIFY_RESIZE")
    assert.equal((await migrations(`?instance_uuid=${id}&status=finished`)).length, 1)
    await c.act(id, { [end]: null })
    await c.reaches(id, "ACTIVE")
  }
  const [newest, oldest, ...more] = await migrations(`?instance_uuid=${id}`)
  assert.deepEqual(more, [])
  assert.deepEqual([newest.status, oldest.status], ["confirmed", "reverted"])
  const server = await c.show(id, { token: c.admin })
  assert.equal(newest.source_compute, server["OS-EXT-SRV-ATTR:host"])
  assert.equal(newest.migration_type, "resize")
  assert.equal(newest.project_id, server.tenant_id)
  assert.notEqual(newest.old_instance_type_id, newest.new_instance_type_id)
  assert.equal(oldest.new_instance_type_id, newest.new_instance_type_id)

  const first = (await asAdmin(`/os-migrations?instance_uuid=${id}&limit=1`)).body
  assert.equal(first.migrations[0].uuid, newest.uuid)
  assert.match(first.migrations_links[0].href, new RegExp(`marker=${newest.uuid}`))
  assert.deepEqual(
    (await migrations(`?instance_uuid=${id}&marker=${newest.uuid}`)).map((m: { uuid: string }) => m.uuid),
    [oldest.uuid],
  )
  assert.equal((await asAdmin(`/os-migrations?marker=${newUuid()}`)).status, 400)
  assert.deepEqual(await migrations(`?host=elsewhere`), [])
  assert.deepEqual(await migrations(`?changes-since=2100-01-01T00:00:00Z`), [])
  assert.deepEqual(Object.hasOwn((await migrations("", "2.1"))[0], "uuid"), false)
  assert.equal((await asAdmin("/os-migrations?wings=2")).status, 400)
  assert.equal((await c.call("GET", "/os-migrations")).status, 403)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("events from outside: each is judged for itself, and a power update makes us look", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const send = (events: object[], version = "2.96", token = c.admin) =>
    c.call("POST", "/os-server-external-events", { events }, { token, version })
  const changed = { name: "network-changed", server_uuid: id, tag: newUuid() }
  const good = await send([changed])
  assert.equal(good.status, 200)
  assert.deepEqual(good.body.events, [{ ...changed, status: "completed", code: 200 }])
  const lost = newUuid()
  const mixed = await send([changed, { ...changed, server_uuid: lost }])
  assert.equal(mixed.status, 207)
  assert.deepEqual(
    mixed.body.events.map((event: { code: number; status: string }) => [event.code, event.status]),
    [
      [200, "completed"],
      [404, "failed"],
    ],
  )
  assert.equal((await send([{ ...changed, server_uuid: lost }])).status, 404)
  const update = { name: "power-update", server_uuid: id, tag: "POWER_OFF" }
  assert.equal((await send([update])).status, 200)
  // The machine runs on, whatever was told.
  await c.reaches(id, "ACTIVE")
  assert.equal((await send([update], "2.75")).status, 400)
  assert.equal((await send([{ ...update, tag: "UP" }, changed])).body.events[0].code, 400)
  const extended = { name: "volume-extended", server_uuid: id }
  assert.equal((await send([extended, changed])).body.events[0].code, 400)
  // It has no such volume, so nothing is written down.
  assert.equal((await send([{ ...extended, tag: newUuid() }])).status, 200)
  const { instanceActions } = (await c.call("GET", `/servers/${id}/os-instance-actions`)).body
  assert.deepEqual(
    instanceActions.map((each: { action: string }) => each.action),
    ["create"],
  )
  assert.equal((await send([{ ...changed, name: "earthquake" }])).status, 400)
  assert.equal((await send([])).status, 400)
  assert.equal((await send([changed], "2.96", c.demo)).status, 403)
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
})

test("how long a host has been up", async () => {
  const { id } = (await asAdmin("/os-hypervisors", "2.87")).body.hypervisors[0]
  const shown = await asAdmin(`/os-hypervisors/${id}/uptime`, "2.87")
  assert.match(shown.body.hypervisor.uptime, /^ \d\d:\d\d:\d\d up .*load average: \d+\.\d\d, /)
  assert.equal((await asAdmin(`/os-hypervisors/${id}/uptime`, "2.88")).status, 404)
  assert.match((await asAdmin(`/os-hypervisors/${id}`, "2.88")).body.hypervisor.uptime, / up /)
  assert.match((await asAdmin("/os-hypervisors/detail", "2.88")).body.hypervisors[0].uptime, / up /)
  const refused = await c.call("GET", `/os-hypervisors/${id}/uptime`, undefined, { version: "2.87" })
  assert.equal(refused.status, 403)
})

test("what works for all hosts shows beside them: scheduler and conductor", async () => {
  const { services } = (await asAdmin("/os-services")).body
  const [scheduler] = (await asAdmin("/os-services?binary=nova-scheduler")).body.services
  assert.deepEqual(services.map((s: { binary: string }) => s.binary).sort(), [
    "nova-compute",
    "nova-conductor",
    "nova-scheduler",
  ])
  assert.deepEqual([scheduler.state, scheduler.status, scheduler.zone], ["up", "enabled", "internal"])
  const hosts = (await asAdmin("/os-hosts?zone=internal", "2.42")).body.hosts
  assert.deepEqual(hosts.map((h: { service: string }) => h.service).sort(), ["conductor", "scheduler"])
  const zones = (await asAdmin("/os-availability-zone/detail")).body.availabilityZoneInfo
  const internal = zones.find((z: { zoneName: string }) => z.zoneName === "internal")
  assert.deepEqual(Object.keys(internal.hosts[scheduler.host]).sort(), ["nova-conductor", "nova-scheduler"])
  const named = (await asAdmin("/os-availability-zone")).body.availabilityZoneInfo
  assert.ok(!named.some((z: { zoneName: string }) => z.zoneName === "internal"), "no zone for servers")

  const send = (method: string, path: string, body?: object, version = "2.96") =>
    c.call(method, path, body, { token: c.admin, version })
  const put = await send("PUT", `/os-services/${scheduler.id}`, { status: "disabled" })
  assert.equal(put.status, 400)
  assert.match(put.body.badRequest.message, /Only nova-compute services can be updated/)
  const old = { host: scheduler.host, binary: "nova-scheduler" }
  assert.equal((await send("PUT", "/os-services/disable", old, "2.1")).status, 400)
  assert.equal((await send("DELETE", `/os-services/${scheduler.id}`)).status, 409, "it runs")
  await sql`update compute.control_service set last_seen_at = now() - interval '1 h'
    where binary_name = 'nova-scheduler'`.execute(c.cloud.cloud.platform.db)
  assert.equal((await asAdmin("/os-services?binary=nova-scheduler")).body.services[0].state, "down")
  assert.equal((await send("DELETE", `/os-services/${scheduler.id}`)).status, 204)
  // The process lives: it may have shown itself anew by now, and then as another.
  const left = (await asAdmin("/os-services?binary=nova-scheduler")).body.services
  assert.ok(!left.some((service: { id: string }) => service.id === scheduler.id))
  assert.equal((await send("DELETE", `/os-services/${scheduler.id}`)).status, 404)
})

test("a host is disabled and enabled in the old way", async () => {
  const list = (await asAdmin("/os-hosts?zone=", "2.42")).body.hosts
  const { host_name: name } = list.find((host: { service: string }) => host.service === "compute")
  const put = (body: object, token = c.admin) =>
    c.call("PUT", `/os-hosts/${name}`, body, { token, version: "2.42" })
  const state = async () => (await asAdmin("/os-services?binary=nova-compute")).body.services[0].status
  assert.deepEqual((await put({ status: "Disable" })).body, { host: name, status: "disabled" })
  assert.equal(await state(), "disabled")
  assert.deepEqual((await put({ status: "enable" })).body, { host: name, status: "enabled" })
  assert.equal(await state(), "enabled")
  assert.equal((await put({ status: "sleep" })).status, 400)
  assert.equal((await put({})).status, 400)
  assert.equal((await put({ status: "enable" }, c.demo)).status, 403)
})

test("a host's machine is its operator's: no power action and no maintenance by us", async () => {
  const list = (await asAdmin("/os-hosts", "2.42")).body.hosts
  const { host_name: name } = list.find((host: { service: string }) => host.service === "compute")
  for (const verb of ["startup", "shutdown", "reboot"]) {
    const refused = await asAdmin(`/os-hosts/${name}/${verb}`, "2.42")
    assert.equal(refused.status, 501)
    assert.match(refused.body.notImplemented.message, /functionality is not supported/)
    assert.equal((await asAdmin(`/os-hosts/nowhere/${verb}`, "2.42")).status, 404)
    assert.equal((await asAdmin(`/os-hosts/${name}/${verb}`, "2.43")).status, 404)
    const asMember = await c.call("GET", `/os-hosts/${name}/${verb}`, undefined, { version: "2.42" })
    assert.equal(asMember.status, 403)
  }
  const put = (host: string, body: object, token = c.admin) =>
    c.call("PUT", `/os-hosts/${host}`, body, { token, version: "2.42" })
  const maintained = { maintenance_mode: "enable", status: "disable" }
  assert.equal((await put(name, maintained)).status, 501)
  const [service] = (await asAdmin("/os-services?binary=nova-compute")).body.services
  assert.equal(service.status, "enabled", "nothing of it was done")
  assert.equal((await put("nowhere", maintained)).status, 404)
  assert.equal((await put(name, maintained, c.demo)).status, 403)
  assert.equal((await put(name, { maintenance_mode: "sleep" })).status, 400)
})

test("no host has sent the usage of its servers", async () => {
  const path = "/os-instance_usage_audit_log"
  const now = (await asAdmin(path)).body.instance_usage_audit_logs
  const [host] = now.hosts_not_run
  assert.match(now.period_ending, /^\d{4}-\d\d-01 00:00:00$/)
  const then = (await asAdmin(`${path}/2026-03-02%2010:00:00.123456`)).body.instance_usage_audit_log
  assert.deepEqual(then, {
    period_beginning: "2026-02-01 00:00:00",
    period_ending: "2026-03-01 00:00:00",
    num_hosts: 1,
    num_hosts_done: 0,
    num_hosts_running: 0,
    num_hosts_not_run: 1,
    hosts_not_run: [host],
    total_instances: 0,
    total_errors: 0,
    overall_status: "0 of 1 hosts done. 0 errors.",
    log: {},
  })
  for (const wrong of ["yesterday", "2026-02-30 00:00:00", "2026-03-02T10:00:00", "2026-03-02 24:00:00"]) {
    const refused = await asAdmin(`${path}/${encodeURIComponent(wrong)}`)
    assert.equal(refused.status, 400, wrong)
    assert.equal(refused.body.badRequest.message, `Invalid timestamp for date ${wrong}`)
  }
  assert.equal((await c.call("GET", path)).status, 403)
  assert.equal((await c.call("GET", `${path}/2026-03-02%2010:00:00`)).status, 403)
})

test("networks in the old ways are those of the network service", async () => {
  const at = (path: string, version = "2.35", token = c.demo) =>
    c.call("GET", path, undefined, { token, version })
  const real = (await c.cloud.request("GET", "/network/v2.0/networks", { token: c.demo })).body.networks
  const named = real.map((n: { id: string; name: string }) => [n.id, n.name]).sort()
  for (const path of ["/os-networks", "/os-tenant-networks"]) {
    const { networks } = (await at(path)).body
    assert.deepEqual(networks.map((n: { id: string; label: string }) => [n.id, n.label]).sort(), named)
    assert.deepEqual((await at(`${path}/${networks[0].id}`)).body.network, networks[0])
    for (const unknown of [newUuid(), "1"]) {
      const refused = await at(`${path}/${unknown}`)
      assert.equal(refused.status, 404)
      assert.equal(refused.body.itemNotFound.message, "Network not found")
    }
    assert.equal((await at(path, "2.36")).status, 404)
  }
  const [id, label] = named[0]
  assert.deepEqual((await at(`/os-tenant-networks/${id}`)).body.network, { id, cidr: "None", label })
  const shown = (await at(`/os-networks/${id}`)).body.network
  assert.equal(Object.keys(shown).length, 11)
  assert.equal(shown.netmask, null)
  const asOperator = (await at(`/os-networks/${id}`, "2.35", c.admin)).body.network
  assert.equal(Object.keys(asOperator).length, 32)
  assert.equal(asOperator.bridge, null)
})

test("who may not is told that, also of a path that is wrong", async () => {
  const aggregate = "/os-aggregates/no-number"
  const action = { add_host: { host: "h" } }
  const asked: [method: string, path: string, body?: unknown][] = [
    ["GET", aggregate],
    ["PUT", aggregate, { aggregate: { name: "n" } }],
    ["DELETE", aggregate],
    ["POST", `${aggregate}/action`, action],
    ["POST", `${aggregate}/images`, { cache: [{ id: newUuid() }] }],
    ["GET", "/os-instance_usage_audit_log/yesterday"],
  ]
  for (const [method, path, body] of asked) {
    assert.equal((await c.call(method, path, body)).status, 403, `${method} ${path}`)
    assert.equal((await c.call(method, path, body, { token: c.admin })).status, 400, `${method} ${path}`)
  }
})

test("images are brought to the hosts of an aggregate, by administrators, from 2.81 on", async () => {
  const aggregate = { name: newUuid() }
  const { body } = await c.call("POST", "/os-aggregates", { aggregate }, { token: c.admin })
  const { id } = body.aggregate
  const ask = (images: string[], how: { version?: string; token?: string } = {}, at: number | string = id) =>
    c.call(
      "POST",
      `/os-aggregates/${at}/images`,
      { cache: images.map((image) => ({ id: image })) },
      {
        token: c.admin,
        ...how,
      },
    )
  const [{ host }] = (await asAdmin("/os-services?binary=nova-compute")).body.services
  await c.call("POST", `/os-aggregates/${id}/action`, { add_host: { host } }, { token: c.admin })
  assert.equal((await ask([c.imageId])).status, 202)
  assert.equal((await ask([c.imageId], { version: "2.80" })).status, 404)
  assert.equal((await ask([c.imageId], { token: c.demo })).status, 403)
  assert.equal((await ask([c.imageId], {}, 999_999)).status, 404)
  assert.equal((await ask([])).status, 400)
  const twice = await ask([c.imageId, c.imageId])
  assert.deepEqual([twice.status, twice.body.badRequest.message], [400, "Duplicate images in request"])
  assert.equal((await ask([newUuid()])).status, 400)
  await c.call("POST", `/os-aggregates/${id}/action`, { remove_host: { host } }, { token: c.admin })
  assert.equal((await c.call("DELETE", `/os-aggregates/${id}`, undefined, { token: c.admin })).status, 200)
})
