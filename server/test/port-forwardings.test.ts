// Port forwardings of floating IPs over HTTP, on the whole control plane with the fake engine.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { assertEngineHasAll, type TestCloud } from "./cloud.ts"
import { type NetworkCloud, startNetworkCloud } from "./network-cloud.ts"

let cloud: TestCloud
let c: NetworkCloud
let outside: string
let inside: { networkId: string; subnetId: string; routerId: string }
before(async () => {
  c = await startNetworkCloud()
  cloud = c.cloud
  outside = (await call("GET", "/networks?router:external=true")).body.networks[0].id
  inside = await makeInside("10.60.0.0/24")
})
after(async () => await c[Symbol.asyncDispose]())
afterEach(async () => await assertEngineHasAll(cloud))

const call: NetworkCloud["call"] = (...args) => c.call(...args)
const make: NetworkCloud["make"] = (...args) => c.make(...args)
const refused: NetworkCloud["refused"] = (...args) => c.refused(...args)

async function makeInside(cidr: string): Promise<typeof inside> {
  const network = await make("network", {})
  const subnet = await make("subnet", { network_id: network.id, cidr, ip_version: 4 })
  const router = await make("router", { external_gateway_info: { network_id: outside } })
  const path = `/routers/${router.id}/add_router_interface`
  assert.equal((await call("PUT", path, { subnet_id: subnet.id })).status, 200)
  return { networkId: network.id, subnetId: subnet.id, routerId: router.id }
}

const makePort = async () => await make("port", { network_id: inside.networkId })
const makeFip = async () => await make("floatingip", { floating_network_id: outside })
const pathOf = (fip: { id: string }) => `/floatingips/${fip.id}/port_forwardings`
const ask = (fip: { id: string }, values: Record<string, unknown>) =>
  call("POST", pathOf(fip), { port_forwarding: { protocol: "tcp", ...values } })
async function forward(fip: { id: string }, values: Record<string, unknown>) {
  const reply = await ask(fip, values)
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body.port_forwarding
}
const show = async (fip: { id: string }) => (await call("GET", `/floatingips/${fip.id}`)).body.floatingip
const wanted = (id: string) => cloud.network.want.portForwardings.find((each) => each.id === id)

test("a port of a floating IP leads to a port, is changed and goes", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  assert.deepEqual(fip.port_forwardings, [])
  const inner = port.fixed_ips[0].ip_address
  const made = await forward(fip, {
    internal_port_id: port.id,
    internal_port: "80",
    external_port: 8080,
    protocol: "TCP",
    description: "web",
  })
  assert.deepEqual(made, {
    id: made.id,
    protocol: "tcp",
    internal_port_id: port.id,
    internal_ip_address: inner,
    internal_port: 80,
    internal_port_range: "80:80",
    external_port: 8080,
    external_port_range: "8080:8080",
    description: "web",
  })
  await eventually("the engine to have it", async () => (await show(fip)).status === "ACTIVE")
  assert.deepEqual(wanted(made.id), {
    id: made.id,
    floatingIpId: fip.id,
    routerId: inside.routerId,
    networkIds: [inside.networkId],
    protocol: "tcp",
    floatingIpAddress: fip.floating_ip_address,
    internalIpAddress: inner,
    externalPorts: { first: 8080, last: 8080 },
    internalPorts: { first: 80, last: 80 },
  })
  const shown = await show(fip)
  assert.equal(shown.router_id, inside.routerId)
  assert.equal(shown.port_id, null)
  const { internal_port_range: _r, external_port_range: _e, description: _d, ...detail } = made
  assert.deepEqual(shown.port_forwardings, [detail])
  const one = `${pathOf(fip)}/${made.id}`
  assert.deepEqual((await call("GET", one)).body.port_forwarding, made)
  const changed = await call("PUT", one, { port_forwarding: { external_port: 9090, protocol: "udp" } })
  assert.equal(changed.status, 200, JSON.stringify(changed.body))
  assert.deepEqual(changed.body.port_forwarding, {
    ...made,
    protocol: "udp",
    external_port: 9090,
    external_port_range: "9090:9090",
  })
  assert.ok((await show(fip)).revision_number > shown.revision_number)
  assert.equal((await call("DELETE", one)).status, 204)
  await refused(call("GET", one), 404, "PortForwardingNotFound")
  await refused(call("DELETE", one), 404, "PortForwardingNotFound")
  const free = await show(fip)
  assert.deepEqual([free.router_id, free.status, free.port_forwardings], [null, "DOWN", []])
  await eventually("the engine to have lost it", () => wanted(made.id) === undefined)
})

test("ranges: as many outer ports as inner ones, or any number of them for one inner port", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  const range = async (external: string | number, internal: string | number) =>
    await ask(fip, {
      internal_port_id: port.id,
      internal_port_range: internal,
      external_port_range: external,
    })
  const made = (await range("5000:5009", "6000:6009")).body.port_forwarding
  assert.deepEqual([made.external_port, made.internal_port], [null, null])
  assert.equal((await range("7000:7005", 80)).status, 201)
  assert.match(await refused(range("8000:8003", "8000:8001"), 400, "BadRequest"), /must be N-N or 1-N/)
  assert.match(await refused(range(8000, "8000:8001"), 400, "BadRequest"), /must be N-N or 1-N/)
  assert.match(await refused(range("9000:8000", 9000), 400, "BadRequest"), /external_port_range 9000:8000/)
  assert.match(await refused(range("1:60000", 90), 400, "BadRequest"), /more than 1000 ports/)
  for (const wrong of ["a", "1:2:3", ":5", ""])
    assert.match(await refused(range(wrong, 91), 400, "HTTPBadRequest"), /external_port_range/)
  for (const wrong of ["0", "1:70000"])
    assert.match(await refused(range(wrong, 92), 400, "BadRequest"), /between 1 and 65535/)
  assert.equal(
    await refused(range("4990:5000", 93), 400, "BadRequest"),
    "Bad port_forwarding request: There is a port collision with the external_port_range. The following ranges collide: 5000:5009 and 4990:5000.",
  )
  assert.match(
    await refused(range(4000, 6005), 400, "BadRequest"),
    /collision with the internal_port_range\. The following ranges collide: 6000:6009 and 6005:6005\./,
  )
  // Another protocol is another matter.
  const udp = { internal_port_id: port.id, internal_port: 6005, external_port: 5005, protocol: "udp" }
  assert.equal((await ask(fip, udp)).status, 201)
  const list = async (query: string) =>
    (await call("GET", `${pathOf(fip)}?${query}`)).body.port_forwardings.map(
      (each: { external_port_range: string }) => each.external_port_range,
    )
  assert.deepEqual(await list(""), ["5000:5009", "7000:7005", "5005:5005"])
  assert.deepEqual(await list("protocol=udp"), ["5005:5005"])
  assert.deepEqual(await list("external_port=5005"), ["5005:5005"])
  assert.deepEqual(await list("external_port_range=7000:7005"), ["7000:7005"])
  assert.deepEqual(await list("external_port_range=5005"), ["5005:5005"])
  assert.deepEqual(await list(`internal_port_id=${made.id}`), [])
  assert.deepEqual(await list("sort_key=protocol&sort_dir=desc&limit=1"), ["5005:5005"])
  const page = await call("GET", `${pathOf(fip)}?limit=2&fields=id`)
  assert.equal(page.body.port_forwardings.length, 2)
  assert.deepEqual(Object.keys(page.body.port_forwardings[0]), ["id"])
  const next = new URL(page.body.port_forwardings_links[0].href)
  assert.equal((await list(next.search.slice(1))).length, 1)
  await refused(call("GET", `${pathOf(fip)}?floating_ip_id=x`), 400, "HTTPBadRequest")
  const other = await makeFip()
  await refused(call("GET", `${pathOf(other)}?marker=${made.id}`), 404, "PortForwardingNotFound")
  await refused(call("GET", `${pathOf(other)}/${made.id}`), 404, "PortForwardingNotFound")
})

test("what is wrong with one is said by its field", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  const good = { internal_port_id: port.id, internal_port: 80, external_port: 80 }
  const says = async (values: Record<string, unknown>, type: string, why: RegExp, status = 400) =>
    assert.match(await refused(ask(fip, { ...good, ...values }), status, type), why)
  await says({ external_port: 0 }, "HTTPBadRequest", /external_port.*range 1 through 65535/)
  await says({ internal_port: 65_536 }, "HTTPBadRequest", /internal_port/)
  await says({ external_port: "http" }, "InvalidInput", /'http' is not an integer/)
  await says({ protocol: "icmp" }, "HTTPBadRequest", /protocol.*'icmp' is not in \['tcp', 'udp'\]/)
  await says({ internal_port_id: "x" }, "HTTPBadRequest", /internal_port_id/)
  await says({ internal_port_id: fip.id }, "PortNotFound", new RegExp(fip.id), 404)
  await says({ internal_ip_address: "10.60.0.250" }, "BadRequest", /10\.60\.0\.250 is not suitable/)
  await says(
    { external_port_range: "81:82" },
    "BadRequest",
    /external_port 80 is not the external_port_range/,
  )
  await says({ external_port: null }, "BadRequest", /external_port or external_port_range/)
  await says({ color: "red" }, "HTTPBadRequest", /color/)
  await refused(
    call("POST", pathOf(port), { port_forwarding: { protocol: "tcp", ...good } }),
    404,
    "FloatingIPNotFound",
  )
  await refused(call("POST", pathOf(fip), { port_forwarding: { ...good } }), 400, "HTTPBadRequest")
  const lonely = await make("network", {})
  await make("subnet", { network_id: lonely.id, cidr: "10.61.0.0/24", ip_version: 4 })
  const far = await make("port", { network_id: lonely.id })
  await says({ internal_port_id: far.id }, "BadRequest", /is not reachable from subnet/)
  const six = await make("network", {})
  const without = await make("port", { network_id: six.id })
  await says({ internal_port_id: without.id }, "BadRequest", /must allocate an IPv4 address/)
  assert.deepEqual((await call("GET", pathOf(fip))).body.port_forwardings, [])
  assert.equal((await show(fip)).router_id, null)
})

test("a floating IP has port forwardings or points at a port, never both", async () => {
  const [fip, bound, port] = [await makeFip(), await makeFip(), await makePort()]
  const web = { internal_port_id: port.id, internal_port: 80, external_port: 80 }
  const made = await forward(fip, web)
  const other = await makePort()
  await refused(
    call("PUT", `/floatingips/${fip.id}`, { floatingip: { port_id: other.id } }),
    409,
    "FipInUseByPortForwarding",
  )
  // Pointing at nothing is what it does.
  assert.equal((await call("PUT", `/floatingips/${fip.id}`, { floatingip: { port_id: null } })).status, 200)
  assert.equal((await show(fip)).router_id, inside.routerId)
  await refused(call("DELETE", `/floatingips/${fip.id}`), 409, "FipInUseByPortForwarding")
  await call("PUT", `/floatingips/${bound.id}`, { floatingip: { port_id: other.id } })
  await refused(ask(bound, { ...web, internal_port: 81 }), 409, "FloatingIPPortAlreadyAssociated")
  await refused(
    ask(fip, { ...web, internal_port_id: other.id, external_port: 81 }),
    409,
    "PortHasBindingFloatingIP",
  )
  await refused(
    call("PUT", `${pathOf(fip)}/${made.id}`, { port_forwarding: { internal_port_id: other.id } }),
    409,
    "PortHasBindingFloatingIP",
  )
  // What it stands on stays.
  const { routerId, subnetId } = inside
  await refused(
    call("PUT", `/routers/${routerId}/remove_router_interface`, { subnet_id: subnetId }),
    409,
    "RouterInterfaceInUseByFloatingIP",
  )
  await refused(
    call("PUT", `/routers/${routerId}`, { router: { external_gateway_info: null } }),
    409,
    "RouterExternalGatewayInUseByFloatingIp",
  )
  const elsewhere = await makeInside("10.62.0.0/24")
  const far = await make("port", { network_id: elsewhere.networkId })
  assert.match(
    await refused(ask(fip, { ...web, internal_port_id: far.id, external_port: 82 }), 400, "BadRequest"),
    new RegExp(`had been set on router ${routerId}`),
  )
})

test("with the port, or the address, the forwardings to it go", async () => {
  const [fip, one, two] = [await makeFip(), await makePort(), await makePort()]
  const first = await forward(fip, { internal_port_id: one.id, internal_port: 80, external_port: 80 })
  const second = await forward(fip, { internal_port_id: two.id, internal_port: 80, external_port: 81 })
  assert.equal((await call("DELETE", `/ports/${one.id}`)).status, 204)
  const left = await show(fip)
  assert.deepEqual(
    [left.port_forwardings.map((each: { id: string }) => each.id), left.router_id],
    [[second.id], inside.routerId],
  )
  await eventually("the engine to have lost it", () => !wanted(first.id) && wanted(second.id) !== undefined)
  const moved = { fixed_ips: [{ subnet_id: inside.subnetId, ip_address: "10.60.0.200" }] }
  assert.equal((await call("PUT", `/ports/${two.id}`, { port: moved })).status, 200)
  const free = await show(fip)
  assert.deepEqual([free.port_forwardings, free.router_id, free.status], [[], null, "DOWN"])
  await eventually("the engine to have lost both", () => wanted(second.id) === undefined)
  assert.equal((await call("DELETE", `/floatingips/${fip.id}`)).status, 204)
})

test("a router's new network is told of its forwardings", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  const made = await forward(fip, { internal_port_id: port.id, internal_port: 80, external_port: 80 })
  const network = await make("network", {})
  const subnet = await make("subnet", { network_id: network.id, cidr: "10.63.0.0/24", ip_version: 4 })
  const change = async (verb: string) =>
    assert.equal(
      (await call("PUT", `/routers/${inside.routerId}/${verb}`, { subnet_id: subnet.id })).status,
      200,
    )
  await change("add_router_interface")
  await eventually("the network", () => wanted(made.id)?.networkIds.includes(network.id))
  await change("remove_router_interface")
  await eventually("it to be gone", () => wanted(made.id)?.networkIds.length === 1)
})

test("many at once: each outer port is taken once, and the quota holds", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  const same = await Promise.all(
    Array.from({ length: 6 }, (_, n) =>
      ask(fip, { internal_port_id: port.id, internal_port: 100 + n, external_port: 80 }),
    ),
  )
  assert.deepEqual(same.map((reply) => reply.status).sort(), [201, 400, 400, 400, 400, 400])
  const used = (await call("GET", `/quotas/${fip.project_id}/details.json`)).body.quota.port_forwarding.used
  const limit = { quota: { port_forwarding: used + 2 } }
  const set = await call("PUT", `/quotas/${fip.project_id}`, limit, { token: c.admin })
  assert.equal(set.status, 200)
  const burst = await Promise.all(
    Array.from({ length: 5 }, (_, n) =>
      ask(fip, { internal_port_id: port.id, internal_port: 200 + n, external_port: 200 + n }),
    ),
  )
  assert.deepEqual(burst.map((reply) => reply.status).sort(), [201, 201, 409, 409, 409])
  const short = burst.find((reply) => reply.status === 409)
  assert.equal(short?.body.NeutronError.message, "Quota exceeded for resources: ['port_forwarding'].")
  await call("DELETE", `/quotas/${fip.project_id}`, undefined, { token: c.admin })
  // Several in one request, or none of them.
  const item = (n: number) => ({
    protocol: "tcp",
    internal_port_id: port.id,
    internal_port: n,
    external_port: n,
  })
  const bulk = (...ns: number[]) => call("POST", pathOf(fip), { port_forwardings: ns.map(item) })
  assert.equal((await bulk(300, 301)).body.port_forwardings.length, 2)
  await refused(bulk(302, 301), 400, "BadRequest")
  assert.deepEqual((await call("GET", `${pathOf(fip)}?external_port=302`)).body.port_forwardings, [])
})

test("an administrator sees and deletes what is any project's", async () => {
  const [fip, port] = [await makeFip(), await makePort()]
  const made = await forward(fip, { internal_port_id: port.id, internal_port: 80, external_port: 80 })
  const seen = await call("GET", `${pathOf(fip)}/${made.id}`, undefined, { token: c.admin })
  assert.equal(seen.status, 200)
  assert.equal((await call("DELETE", `${pathOf(fip)}/${made.id}`, undefined, { token: c.admin })).status, 204)
})

test("a port is deleted while a forwarding to it, and others of the floating IP, are made", async () => {
  const [fip, keeps] = [await makeFip(), await makePort()]
  for (let round = 0; round < 5; round++) {
    const port = await makePort()
    const mine = { internal_port_id: port.id, internal_port: 80, external_port: 1000 + round }
    await forward(fip, mine)
    const other = { internal_port_id: keeps.id, internal_port: 80 + round, external_port: 2000 + round }
    const [gone, made, late] = await Promise.all([
      call("DELETE", `/ports/${port.id}`),
      ask(fip, other),
      ask(fip, { ...mine, internal_port: 81, external_port: 3000 + round }),
    ])
    assert.deepEqual([gone.status, made.status], [204, 201], JSON.stringify([gone.body, made.body]))
    assert.ok([201, 404].includes(late.status), JSON.stringify(late.body))
    const shown = await show(fip)
    assert.equal(shown.router_id, inside.routerId)
    assert.equal(shown.port_forwardings.length, round + 1)
  }
})
