// What the network API takes and refuses where clients write the unusual.
import assert from "node:assert/strict"
import { randomUUID } from "node:crypto"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { type NetworkCloud, startNetworkCloud } from "./network-cloud.ts"

let c: NetworkCloud
let admin: string
before(async () => {
  c = await startNetworkCloud()
  admin = c.admin
})
after(async () => await c[Symbol.asyncDispose]())

const call: NetworkCloud["call"] = (...args) => c.call(...args)
const make: NetworkCloud["make"] = (...args) => c.make(...args)
const refused: NetworkCloud["refused"] = (...args) => c.refused(...args)

test("what may be shared, by whom, and what holds it", async () => {
  const projectId = (await call("GET", "/routers")).body.routers[0].project_id
  const share = (object_type: string, object_id: string, target_tenant: string, more: object = {}) => ({
    rbac_policy: { object_type, object_id, target_tenant, action: "access_as_shared", ...more },
  })
  const post = (body: object, token = c.demo) => call("POST", "/rbac-policies", body, { token })
  const theirs = await make("network", { name: "theirs" }, admin)
  await refused(post(share("network", theirs.id, "anybody")), 400, "InvalidInput")
  await refused(post(share("network", projectId, "anybody")), 400, "InvalidInput")

  const own = await make("network", { name: "to the outside" })
  const external = { action: "access_as_external" }
  assert.equal((await post(share("network", own.id, "friend", external))).status, 201)
  await refused(post(share("network", own.id, "*", external)), 403, "PolicyNotAuthorized")
  const revision = (await call("GET", `/networks/${own.id}`)).body.network.revision_number
  assert.equal((await post(share("network", own.id, "friend"))).status, 201)
  assert.ok((await call("GET", `/networks/${own.id}`)).body.network.revision_number > revision)

  // Each in use by a project that has its right from the policy alone.
  const scope = await make("address_scope", { name: "s", ip_version: 4 }, admin)
  const pool = await make(
    "subnetpool",
    { name: "p", prefixes: ["10.90.0.0/16"], address_scope_id: scope.id },
    admin,
  )
  const unseen = await refused(post(share("subnetpool", pool.id, projectId), admin), 400, "InvalidInput")
  assert.match(unseen, /address scope .* is not shared with project/)
  const group = await make("address_group", { name: "g", addresses: ["10.9.0.0/24"] }, admin)
  const things = [
    ["address_scope", scope.id],
    ["subnetpool", pool.id],
    ["address_group", group.id],
  ] as const
  const policies: string[] = []
  for (const [type, id] of things) {
    const made = await post(share(type, id, projectId), admin)
    assert.equal(made.status, 201, JSON.stringify(made.body))
    policies.push(made.body.rbac_policy.id)
  }
  await make("subnetpool", { name: "in theirs", prefixes: ["10.91.0.0/16"], address_scope_id: scope.id })
  const subnet = { network_id: own.id, ip_version: 4, subnetpool_id: pool.id, prefixlen: 24 }
  await make("subnet", subnet)
  const mine = await make("security_group", { name: "mine" })
  const rule = { security_group_id: mine.id, direction: "ingress", remote_address_group_id: group.id }
  await make("security_group_rule", rule)
  for (const id of policies)
    await refused(call("DELETE", `/rbac-policies/${id}`, undefined, { token: admin }), 409, "RbacPolicyInUse")
  const open = await make("address_scope", { name: "open", ip_version: 4, shared: true }, admin)
  const unshare = { address_scope: { shared: false } }
  const kept = call("PUT", `/address-scopes/${open.id}`, unshare, { token: admin })
  assert.match(await refused(kept, 400, "InvalidInput"), /can't be unshared/)
})

test("an address group takes prefixes, each once", async () => {
  const { id } = await make("address_group", { name: "g", addresses: ["10.9.0.0/24"] })
  const put = (verb: string, addresses: string[]) =>
    call("PUT", `/address-groups/${id}/${verb}_addresses`, { addresses })
  assert.match(await refused(put("add", ["10.9.1.1"]), 400, "InvalidInput"), /10\.9\.1\.1\/32/)
  await refused(put("add", ["10.9.1.1/32", "10.9.0.0/24"]), 400, "AddressesAlreadyExist")
  await refused(put("remove", ["10.9.0.0/24", "10.9.2.2/32"]), 404, "AddressesNotFound")
  const addressesOf = async () =>
    (await call("GET", `/address-groups/${id}`)).body.address_group.addresses as string[]
  assert.deepEqual(await addressesOf(), ["10.9.0.0/24"])
  assert.equal((await put("add", ["10.9.1.1/32"])).status, 200)
  assert.equal((await put("remove", ["10.9.0.0/24"])).status, 200)
  assert.deepEqual(await addressesOf(), ["10.9.1.1/32"])
})

test("what is asked of ports in other words than the usual ones", async () => {
  const network = await make("network", { name: "ports" })
  const subnet = await make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.31.0.0/24" })
  const twice = [{ subnet_id: subnet.id }, { subnet_id: subnet.id }]
  const two = await make("port", { network_id: network.id, fixed_ips: twice })
  assert.equal(new Set(two.fixed_ips.map((ip: { ip_address: string }) => ip.ip_address)).size, 2)
  const same = [{ ip_address: "10.31.0.77" }, { ip_address: "10.31.0.77", subnet_id: subnet.id }]
  const post = (port: object) => call("POST", "/ports", { port: { network_id: network.id, ...port } })
  await refused(post({ fixed_ips: same }), 400, "HTTPBadRequest")
  for (const ip_address of ["224.0.0.18", "ff02::1"])
    await refused(post({ allowed_address_pairs: [{ ip_address }] }), 400, "InvalidInput")
  const put = (port: object) => call("PUT", `/ports/${two.id}`, { port })
  // Only administrators change a MAC.
  const renewed = { port: { mac_address: null } }
  const changed = (await call("PUT", `/ports/${two.id}`, renewed, { token: admin })).body.port
  assert.match(changed.mac_address, /^fa:16:3e:/)
  assert.notEqual(changed.mac_address, two.mac_address)
  assert.match((await make("port", { network_id: network.id, mac_address: null })).mac_address, /^fa:16:3e:/)
  const stateless = await make("security_group", { name: "stateless", stateful: false })
  const stateful = await make("security_group", { name: "stateful" })
  const both = { security_groups: [stateless.id, stateful.id] }
  await refused(post(both), 409, "SecurityGroupConflict")
  await refused(put(both), 409, "SecurityGroupConflict")
  assert.equal((await put({ security_groups: [stateless.id] })).status, 200)
})

test("a router on an external network without a subnet has a gateway without addresses", async () => {
  const network = await make("network", { name: "bare", "router:external": true }, admin)
  const { id } = await make("router", { name: "r" })
  const gateway = { external_gateway_info: { network_id: network.id } }
  const reply = await call("PUT", `/routers/${id}`, { router: gateway })
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  assert.deepEqual(reply.body.router.external_gateway_info.external_fixed_ips, [])
  assert.equal(reply.body.router.external_gateway_info.network_id, network.id)
  const none = await call("PUT", `/routers/${id}`, { router: { external_gateway_info: null } })
  assert.equal(none.status, 200)
  const port = (await call("GET", "/ports?network_id=none")).body.ports
  assert.deepEqual(port, [])
})

test("an update of nothing takes a floating IP off its port", async () => {
  const [external] = (await call("GET", "/networks?name=public")).body.networks
  const [inside] = (await call("GET", "/networks?name=private")).body.networks
  const port = await make("port", { network_id: inside.id })
  const made = await make("floatingip", { floating_network_id: external.id, port_id: port.id })
  assert.equal(made.port_id, port.id)
  const path = `/floatingips/${made.id}`
  await call("PUT", path, { floatingip: { description: "kept" } })
  assert.equal((await call("GET", path)).body.floatingip.port_id, port.id)
  assert.equal((await call("PUT", path, { floatingip: {} })).body.floatingip.port_id, null)
  await call("DELETE", path)
})

test("a rule that says the same in other words is there already", async () => {
  const group = await make("security_group", { name: "words" })
  const post = (rule: object) =>
    call("POST", "/security-group-rules", {
      security_group_rule: { security_group_id: group.id, direction: "ingress", ...rule },
    })
  const exists = (rule: object) => refused(post(rule), 409, "SecurityGroupRuleExists")
  const whole = await post({ protocol: "tcp", port_range_min: 1, port_range_max: 65535 })
  assert.equal(whole.body.security_group_rule.port_range_min, null)
  await exists({ protocol: "6" })
  await exists({ protocol: "TCP", remote_ip_prefix: "0.0.0.0/0" })
  await exists({ protocol: "6", port_range_min: 1, port_range_max: 65535, remote_ip_prefix: "0.0.0.0/0" })
  assert.equal((await post({ protocol: "tcp", remote_ip_prefix: "10.0.0.0/8" })).status, 201)
  assert.equal((await post({ protocol: "tcp", ethertype: "IPv6" })).status, 201)
  const ping = await post({ protocol: "icmp", ethertype: "IPv6" })
  assert.equal(ping.body.security_group_rule.protocol, "ipv6-icmp")
  for (const protocol of ["icmpv6", "58", "1", "ipv6-icmp"]) await exists({ protocol, ethertype: "IPv6" })
  for (const protocol of ["58", "43", "ipv6-frag"])
    await refused(post({ protocol }), 400, "SecurityGroupEthertypeConflictWithProtocol")
})

test("pools in a scope: apart from each other, and changed by the scope's owner", async () => {
  const scope = await make("address_scope", { name: "shared", ip_version: 4, shared: true }, admin)
  const pool = (cidr: string) => ({ name: "p", prefixes: [cidr], address_scope_id: scope.id })
  const mine = await make("subnetpool", pool("10.60.0.0/16"))
  const overlapping = call("POST", "/subnetpools", { subnetpool: pool("10.60.1.0/24") })
  await refused(overlapping, 409, "AddressScopePrefixConflict")
  const more = { subnetpool: { prefixes: ["10.60.0.0/16", "10.62.0.0/16"] } }
  const grown = call("PUT", `/subnetpools/${mine.id}`, more)
  assert.match(await refused(grown, 400, "InvalidInput"), /shared address scope/)
  await refused(
    call("PUT", `/subnetpools/${mine.id}/add_prefixes`, { prefixes: ["10.62.0.0/16"] }),
    400,
    "InvalidInput",
  )
  assert.equal((await call("PUT", `/subnetpools/${mine.id}`, { subnetpool: { name: "q" } })).status, 200)
})

test("subnets of external networks, kinds of devices on subnets, templates of rules", async () => {
  const names = async (query: string) =>
    (await call("GET", `/subnets?${query}`)).body.subnets.map((s: { name: string }) => s.name)
  assert.ok((await names("router:external=true")).includes("public-subnet"))
  assert.ok(!(await names("router:external=false")).includes("public-subnet"))
  const network = await make("network", { name: "kinds" })
  const subnet = { network_id: network.id, ip_version: 4, cidr: "10.63.0.0/24" }
  await make("subnet", { ...subnet, service_types: ["compute:nova"] })
  const path = "/default-security-group-rules"
  const rules = (await call("GET", path, undefined, { token: admin })).body.default_security_group_rules
  assert.match(rules[0].description, /^Legacy default SG rule for /)
  const post = (rule: object) =>
    call("POST", path, { default_security_group_rule: { direction: "ingress", ...rule } }, { token: admin })
  const tcp = { protocol: "tcp", port_range_min: 22, port_range_max: 22, used_in_default_sg: false }
  const made = await post(tcp)
  assert.equal(made.status, 201)
  assert.equal((await post({ ...tcp, used_in_default_sg: true })).status, 409)
  assert.equal((await post({ ...tcp, used_in_default_sg: true, used_in_non_default_sg: false })).status, 201)
  const all = (await call("GET", path, undefined, { token: admin })).body.default_security_group_rules
  for (const { id, protocol } of all)
    if (protocol === "tcp") await call("DELETE", `${path}/${id}`, undefined, { token: admin })
})

test("a group begins with rules, which the quota of rules counts", async () => {
  const projectId = (await call("GET", "/routers")).body.routers[0].project_id
  const quota = { security_group_rule: 0, force: true }
  await call("PUT", `/quotas/${projectId}`, { quota }, { token: admin })
  await refused(call("POST", "/security-groups", { security_group: { name: "g" } }), 409, "OverQuota")
  await call("DELETE", `/quotas/${projectId}`, undefined, { token: admin })
})

test("the service port of a network may be deleted by its owner, and is there again", async () => {
  const network = await make("network", { name: "served" })
  await make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.64.0.0/24" })
  const portsOf = async () =>
    (await call("GET", `/ports?network_id=${network.id}&device_owner=network:distributed`)).body.ports
  const [first] = await portsOf()
  assert.equal((await call("DELETE", `/ports/${first.id}`)).status, 204)
  const [second, ...more] = await portsOf()
  assert.deepEqual(more, [])
  assert.notEqual(second.id, first.id)
  for (const { fixed_ips } of [first, second]) assert.equal(fixed_ips[0].ip_address, "10.64.0.2")
  assert.equal((await call("DELETE", `/networks/${network.id}`)).status, 204)
})

test("a subnet has a cidr or the length of one from a pool, not both", async () => {
  const network = await make("network", { name: "lengths" })
  const pool = await make("subnetpool", { name: "lengths", prefixes: ["10.80.0.0/16"] })
  const subnet = { network_id: network.id, ip_version: 4, subnetpool_id: pool.id }
  const both = { ...subnet, cidr: "10.80.9.0/26", prefixlen: 26 }
  await refused(call("POST", "/subnets", { subnet: both }), 400, "InvalidInput")
  assert.equal((await make("subnet", { ...subnet, cidr: "10.80.9.0/26" })).cidr, "10.80.9.0/26")
})

test("limits below what is used are refused unless they are forced", async () => {
  const projectId = (await call("GET", "/routers")).body.routers[0].project_id
  const put = (quota: object) => call("PUT", `/quotas/${projectId}`, { quota }, { token: admin })
  await refused(put({ router: 0 }), 400, "InvalidInput")
  await refused(put({ router: 0, check_limit: true }), 400, "InvalidInput")
  assert.equal((await put({ router: 0, force: true })).status, 200)
  await call("DELETE", `/quotas/${projectId}`, undefined, { token: admin })
})

test("who may only see an address group of another project reads 404 of a change", async () => {
  const group = await make("address_group", { name: "shown" }, admin)
  const [me] = (await call("GET", "/routers")).body.routers
  const share = { object_type: "address_group", object_id: group.id, action: "access_as_shared" }
  await call(
    "POST",
    "/rbac-policies",
    { rbac_policy: { ...share, target_tenant: me.project_id } },
    { token: admin },
  )
  const path = `/address-groups/${group.id}`
  assert.equal((await call("GET", path)).status, 200)
  await refused(call("PUT", path, { address_group: { name: "x" } }), 404, "AddressGroupNotFound")
  await refused(call("DELETE", path), 404, "AddressGroupNotFound")
})

test("a refusal does not send a long value back", async () => {
  const long = "x".repeat(10_000)
  for (const network of [{ name: long }, { name: { [long]: 1 } }, { admin_state_up: long }, { [long]: 1 }]) {
    const reply = await call("POST", "/networks", { network })
    assert.equal(reply.status, 400)
    assert.ok(JSON.stringify(reply.body).length < 400, JSON.stringify(reply.body))
  }
})

test("agents: a description may be written, none can be switched off, and only a dead one is deleted", async () => {
  const as = { token: admin }
  const { agents } = (await call("GET", "/agents", undefined, as)).body
  assert.deepEqual(agents.map((a: { binary: string }) => a.binary).sort(), [
    "neutron-ovn-metadata-agent",
    "ovn-controller",
  ])
  const path = `/agents/${agents[0].id}`
  const put = (agent: object, token = admin) => call("PUT", path, { agent }, { token })
  assert.equal((await put({ description: "the first" })).body.agent.description, "the first")
  assert.equal((await put({ admin_state_up: true })).status, 200)
  const off = await refused(put({ admin_state_up: false, description: "x" }), 400, "BadRequest")
  assert.equal(off, "Bad agent request: OVN agent status cannot be updated.")
  await refused(put({ host: "x" }), 400, "HTTPBadRequest")
  const shown = (await call("GET", path, undefined, as)).body.agent
  assert.deepEqual([shown.description, shown.alive, shown.admin_state_up], ["the first", true, true])
  assert.equal(shown.started_at, agents[0].started_at)
  for (const method of ["PUT", "DELETE"])
    await refused(call(method, path, method === "PUT" ? { agent: {} } : undefined), 404, "AgentNotFound")
  await refused(call("DELETE", path, undefined, as), 409, "Conflict")

  const id = randomUUID()
  await sql`insert into network.agent (id, host, binary_name, heartbeat_at)
    values (${id}, 'gone', 'ovn-controller', now() - interval '2 minutes')`.execute(c.cloud.database.db)
  assert.equal((await call("GET", `/agents/${id}`, undefined, as)).body.agent.alive, false)
  assert.equal((await call("DELETE", `/agents/${id}`, undefined, as)).status, 204)
  await refused(call("DELETE", `/agents/${id}`, undefined, as), 404, "AgentNotFound")
})

test("whether a project can have its network is asked without naming it; other fields are none", async () => {
  for (const path of [
    "/auto-allocated-topology",
    "/auto-allocated-topology/",
    "/auto-allocated-topology/None",
  ]) {
    const { status, body } = await call("GET", `${path}?fields=dry-run`)
    assert.equal(status, 200, path)
    assert.equal(body.auto_allocated_topology.id, "dry-run=pass")
  }
  assert.equal((await call("GET", "/auto-allocated-topology")).status, 404)
  await refused(call("GET", "/auto-allocated-topology/None?fields=id"), 400, "BadRequest")
})

test("an administrator who lists a project's groups sees its default one", async () => {
  const made = await c.cloud.request("POST", "/identity/v3/projects", {
    token: admin,
    body: { project: { name: "new" } },
  })
  const { id } = made.body.project
  const list = async (query: string, token = admin) =>
    (await call("GET", `/security-groups?${query}`, undefined, { token })).body.security_groups
  assert.deepEqual(await list(`project_id=${id}`, c.demo), [])
  const groups = await list(`tenant_id=${id}`)
  assert.deepEqual(
    groups.map((g: { name: string; project_id: string }) => [g.name, g.project_id]),
    [["default", id]],
  )
  assert.deepEqual(await list("project_id=nobody"), [], "a project that there is not gets none")
})

test("tunnels that no type driver of this cloud has are refused by name", async () => {
  for (const type of ["vxlan", "gre"]) {
    const network = { name: type, "provider:network_type": type }
    const why = await refused(call("POST", "/networks", { network }, { token: admin }), 400, "InvalidInput")
    assert.equal(why, `Invalid input for operation: network_type value '${type}' not supported.`)
  }
})
