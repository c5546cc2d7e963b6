// The network API over HTTP, on the whole control plane with the fake engine.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { assertEngineHasAll, type TestCloud } from "./cloud.ts"
import { type NetworkCloud, startNetworkCloud } from "./network-cloud.ts"

let cloud: TestCloud
let demo: string
let admin: string
let c: NetworkCloud
before(async () => {
  c = await startNetworkCloud()
  cloud = c.cloud
  demo = c.demo
  admin = c.admin
})
after(async () => await c[Symbol.asyncDispose]())
afterEach(async () => await assertEngineHasAll(cloud))

const call: NetworkCloud["call"] = (...args) => c.call(...args)
const make: NetworkCloud["make"] = (...args) => c.make(...args)
const refused: NetworkCloud["refused"] = (...args) => c.refused(...args)

test("the first start gives demo a network behind a router, and the engine has it", async () => {
  const { body } = await call("GET", "/networks")
  const names = body.networks.map((n: { name: string }) => n.name)
  assert.deepEqual(names, ["public", "private"])
  await eventually("the engine", () => cloud.network.want.routers.length === 1)
  const [router] = cloud.network.want.routers
  assert.equal(router?.gateway?.fixedIps[0]?.gatewayIp, "172.24.4.1")
  assert.equal(router?.interfaces[0]?.fixedIps[0]?.ipAddress, "10.0.0.1")
  const serviceIp = cloud.network.want.subnets.find((s) => s.enableDhcp)?.serviceIp
  assert.match(serviceIp ?? "", /^10\.0\.0\.\d+$/)
  assert.notEqual(serviceIp, "10.0.0.1")
})

test("attributes that only administrators may see or set", async () => {
  const network = await make("network", { name: "plain" })
  assert.ok(!("provider:network_type" in network))
  assert.equal(network.mtu, 1442)
  const seen = await call("GET", `/networks/${network.id}`, undefined, { token: admin })
  assert.equal(seen.body.network["provider:network_type"], "geneve")
  for (const attribute of ["shared", "router:external"])
    await refused(call("POST", "/networks", { network: { [attribute]: true } }), 403, "PolicyNotAuthorized")
  await refused(call("POST", "/networks", { network: { color: "red" } }), 400, "HTTPBadRequest")
  const why = await refused(call("POST", "/networks", { network: { name: 7 } }), 400, "HTTPBadRequest")
  assert.match(why, /Invalid input for name/)
  const port = await make("port", { network_id: network.id })
  assert.ok(!("binding:host_id" in port))
  await refused(
    call("PUT", `/ports/${port.id}`, { port: { "binding:host_id": "host1" } }),
    403,
    "PolicyNotAuthorized",
  )
})

test("what belongs to another project is not there", async () => {
  const network = await make("network", { name: "hidden" }, admin)
  await refused(call("GET", `/networks/${network.id}`), 404, "NetworkNotFound")
  await refused(call("DELETE", `/networks/${network.id}`), 404, "NetworkNotFound")
  await refused(call("POST", "/ports", { port: { network_id: network.id } }), 404, "NetworkNotFound")
  const shared = await call("PUT", `/networks/${network.id}`, { network: { shared: true } }, { token: admin })
  assert.equal(shared.body.network.shared, true)
  assert.equal((await call("GET", `/networks/${network.id}`)).body.network.shared, true)
  await refused(
    call("PUT", `/networks/${network.id}`, { network: { name: "mine" } }),
    403,
    "PolicyNotAuthorized",
  )
  await make("port", { network_id: network.id })
  await refused(
    call("PUT", `/networks/${network.id}`, { network: { shared: false } }, { token: admin }),
    409,
    "InvalidSharedSetting",
  )
})

test("filters, fields, sorting and pages", async () => {
  const made = await call("POST", "/networks", {
    networks: ["page-c", "page-a", "page-b"].map((name) => ({ name, description: "paged" })),
  })
  assert.equal(made.status, 201)
  const list = async (query: string) => (await call("GET", `/networks?description=paged&${query}`)).body
  const names = (body: { networks: { name: string }[] }) => body.networks.map((n) => n.name)
  assert.deepEqual(names(await list("sort_key=name&sort_dir=asc")), ["page-a", "page-b", "page-c"])
  assert.deepEqual(names(await list("sort_key=name")), ["page-a", "page-b", "page-c"], "a key alone: upwards")
  assert.deepEqual(names(await list("name=page-a&name=page-b&sort_key=name&sort_dir=desc")), [
    "page-b",
    "page-a",
  ])
  assert.deepEqual(await list("name=page-a&fields=name"), { networks: [{ name: "page-a" }] })
  assert.equal((await list("admin_state_up=False")).networks.length, 0)
  const first = await list("sort_key=name&sort_dir=asc&limit=2")
  assert.deepEqual(names(first), ["page-a", "page-b"])
  const next = first.networks_links.find((l: { rel: string }) => l.rel === "next").href
  const second = await cloud.request("GET", new URL(next).pathname + new URL(next).search, { token: demo })
  assert.deepEqual(names(second.body), ["page-c"])
  const back = second.body.networks_links.find((l: { rel: string }) => l.rel === "previous").href
  const again = await cloud.request("GET", new URL(back).pathname + new URL(back).search, { token: demo })
  assert.deepEqual(names(again.body), ["page-a", "page-b"])
  await refused(call("GET", "/networks?color=red"), 400, "HTTPBadRequest")
  await refused(call("GET", "/networks?sort_key=subnets&sort_dir=asc"), 400, "HTTPBadRequest")
  await refused(call("GET", "/networks?limit=-1"), 400, "HTTPBadRequest")
  await refused(call("GET", "/networks?admin_state_up=perhaps"), 400, "InvalidInput")
})

test("a change that names a revision is made only on that revision", async () => {
  const network = await make("network", {})
  const headers = { "If-Match": `revision_number=${network.revision_number}` }
  const renamed = await call("PUT", `/networks/${network.id}`, { network: { name: "once" } }, { headers })
  assert.equal(renamed.status, 200)
  await refused(
    call("PUT", `/networks/${network.id}`, { network: { name: "twice" } }, { headers }),
    412,
    "RevisionNumberConstraintFailed",
  )
})

test("addresses: any free one, asked for, in use, outside, and given by machines to themselves", async () => {
  const network = await make("network", {})
  const subnet = await make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.50.0.0/29" })
  assert.equal(subnet.gateway_ip, "10.50.0.1")
  const port = await make("port", { network_id: network.id })
  const [{ subnet_id, ip_address }] = port.fixed_ips
  assert.equal(subnet_id, subnet.id)
  assert.match(ip_address, /^10\.50\.0\.[2-6]$/)
  assert.equal(port.status, "DOWN")
  const ask = (ip: string) =>
    call("POST", "/ports", { port: { network_id: network.id, fixed_ips: [{ ip_address: ip }] } })
  await refused(ask(ip_address), 409, "IpAddressAlreadyAllocated")
  await refused(ask("10.51.0.3"), 400, "InvalidIpForNetwork")
  await refused(ask("10.50.0.7"), 400, "InvalidIpForNetwork")
  const six = await make("subnet", {
    network_id: network.id,
    ip_version: 6,
    cidr: "2001:db8:50::/64",
    ipv6_ra_mode: "slaac",
    ipv6_address_mode: "slaac",
  })
  const { body } = await call("GET", `/ports?fixed_ips=subnet_id=${six.id}`)
  assert.equal(body.ports.length, 1)
  assert.match(body.ports[0].fixed_ips[1].ip_address, /^2001:db8:50:.*ff:fe/)
  await refused(
    call("POST", "/subnets", { subnet: { network_id: network.id, ip_version: 4, cidr: "10.50.0.0/24" } }),
    400,
    "InvalidInput",
  )
  await refused(call("DELETE", `/subnets/${subnet.id}`), 409, "SubnetInUse")
  await refused(call("DELETE", `/networks/${network.id}`), 409, "NetworkInUse")
  assert.equal((await call("DELETE", `/ports/${port.id}`)).status, 204)
  assert.equal((await call("DELETE", `/networks/${network.id}`)).status, 204)
  await refused(call("GET", `/subnets/${subnet.id}`), 404, "SubnetNotFound")
})

test("a floating IP goes through the router that reaches its network", async () => {
  const { body } = await call("GET", "/networks?router:external=true")
  const outside = body.networks[0].id
  const network = await make("network", {})
  const subnet = await make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.60.0.0/24" })
  const port = await make("port", { network_id: network.id })
  const ask = { floating_network_id: outside, port_id: port.id }
  await refused(
    call("POST", "/floatingips", { floatingip: ask }),
    404,
    "ExternalGatewayForFloatingIPNotFound",
  )
  const router = await make("router", { name: "r", external_gateway_info: { network_id: outside } })
  const change = (verb: string, what: Record<string, string>) =>
    call("PUT", `/routers/${router.id}/${verb}`, what)
  const added = await change("add_router_interface", { subnet_id: subnet.id })
  assert.deepEqual(added.body.subnet_ids, [subnet.id])
  await refused(change("add_router_interface", { subnet_id: subnet.id }), 400, "InvalidInput")
  const fip = await make("floatingip", ask)
  assert.equal(fip.fixed_ip_address, port.fixed_ips[0].ip_address)
  assert.equal(fip.router_id, router.id)
  const show = async () => (await call("GET", `/floatingips/${fip.id}`)).body.floatingip
  await eventually("the floating IP", async () => (await show()).status === "ACTIVE")
  await refused(call("POST", "/floatingips", { floatingip: ask }), 409, "FloatingIPPortAlreadyAssociated")
  await refused(
    change("remove_router_interface", { subnet_id: subnet.id }),
    409,
    "RouterInterfaceInUseByFloatingIP",
  )
  await refused(
    call("PUT", `/routers/${router.id}`, { router: { external_gateway_info: null } }),
    409,
    "RouterExternalGatewayInUseByFloatingIp",
  )
  await refused(call("DELETE", `/routers/${router.id}`), 409, "RouterInUse")
  assert.equal((await call("DELETE", `/ports/${port.id}`)).status, 204)
  assert.equal((await show()).port_id, null)
  assert.equal((await call("DELETE", `/floatingips/${fip.id}`)).status, 204)
  const routes = [{ destination: "10.99.0.0/16", nexthop: "10.60.0.9" }]
  assert.equal((await call("PUT", `/routers/${router.id}`, { router: { routes } })).status, 200)
  await refused(
    change("remove_router_interface", { subnet_id: subnet.id }),
    409,
    "RouterInterfaceInUseByRoute",
  )
  await refused(
    call("PUT", `/routers/${router.id}`, {
      router: { routes: [{ destination: "10.99.0.0/16", nexthop: "10.61.0.9" }] },
    }),
    400,
    "InvalidRoutes",
  )
  await call("PUT", `/routers/${router.id}`, { router: { routes: [] } })
  assert.equal((await change("remove_router_interface", { subnet_id: subnet.id })).status, 200)
  assert.equal((await call("DELETE", `/routers/${router.id}`)).status, 204)
})

test("security groups: the default one is there, rules are checked, what is used stays", async () => {
  const { body } = await call("GET", "/security-groups")
  const standard = body.security_groups.find((g: { name: string }) => g.name === "default")
  assert.equal(standard.security_group_rules.length, 4)
  await refused(call("DELETE", `/security-groups/${standard.id}`), 409, "SecurityGroupCannotRemoveDefault")
  const group = await make("security_group", { name: "web" })
  assert.equal(group.security_group_rules.length, 2)
  const rule = (values: Record<string, unknown>) =>
    call("POST", "/security-group-rules", {
      security_group_rule: { security_group_id: group.id, direction: "ingress", ...values },
    })
  const made = await rule({
    protocol: "TCP",
    port_range_min: 80,
    port_range_max: 80,
    remote_ip_prefix: "10.0.0.1/8",
  })
  assert.equal(made.body.security_group_rule.remote_ip_prefix, "10.0.0.1/8")
  assert.equal(made.body.security_group_rule.normalized_cidr, "10.0.0.0/8")
  await refused(
    rule({ protocol: "tcp", port_range_min: 80, port_range_max: 80, remote_ip_prefix: "10.0.0.0/8" }),
    409,
    "SecurityGroupRuleExists",
  )
  await refused(rule({ protocol: "bad" }), 400, "SecurityGroupRuleInvalidProtocol")
  await refused(
    rule({ port_range_min: 80, port_range_max: 80 }),
    400,
    "SecurityGroupProtocolRequiredWithPorts",
  )
  await refused(
    rule({ protocol: "tcp", port_range_min: 90, port_range_max: 80 }),
    400,
    "SecurityGroupInvalidPortRange",
  )
  await refused(rule({ remote_ip_prefix: "::/0" }), 400, "SecurityGroupRuleParameterConflict")
  const network = await make("network", {})
  const port = await make("port", { network_id: network.id, security_groups: [group.id] })
  await refused(call("DELETE", `/security-groups/${group.id}`), 409, "SecurityGroupInUse")
  await call("DELETE", `/ports/${port.id}`)
  assert.equal((await call("DELETE", `/security-groups/${group.id}`)).status, 204)
})

test("a burst of requests does not pass the quota", async () => {
  const { body } = await call("GET", "/routers")
  const projectId = body.routers[0].project_id
  const limit = body.routers.length + 2
  const set = await call("PUT", `/quotas/${projectId}`, { quota: { router: limit } }, { token: admin })
  assert.equal(set.body.quota.router, limit)
  const replies = await Promise.all(Array.from({ length: 6 }, () => call("POST", "/routers", { router: {} })))
  assert.equal(replies.filter((r) => r.status === 201).length, 2)
  const short = replies.find((r) => r.status === 409)
  assert.equal(short?.body.NeutronError.message, "Quota exceeded for resources: ['router'].")
  await refused(call("PUT", `/quotas/${projectId}`, { quota: { router: 5 } }), 403, "PolicyNotAuthorized")
  assert.equal((await call("DELETE", `/quotas/${projectId}`, undefined, { token: admin })).status, 204)
})

test("paths that name the format, as old clients write them", async () => {
  for (const noun of ["networks", "subnets", "ports", "security-groups", "extensions"])
    assert.equal((await call("GET", `/${noun}.json`)).status, 200, noun)
  const [network] = (await call("GET", "/networks.json?name=private")).body.networks
  assert.equal((await call("GET", `/networks/${network.id}.json?fields=id`)).body.network.id, network.id)
})

test("tags", async () => {
  const network = await make("network", { name: "tagged" })
  const path = `/networks/${network.id}/tags`
  assert.deepEqual((await call("PUT", path, { tags: ["red", "blue"] })).body, { tags: ["red", "blue"] })
  assert.equal((await call("PUT", `${path}/green`)).status, 201)
  const ids = async (query: string) =>
    (await call("GET", `/networks?${query}`)).body.networks.map((n: { id: string }) => n.id)
  assert.deepEqual(await ids("tags=red,blue"), [network.id])
  assert.deepEqual(await ids("tags=red,black"), [])
  assert.deepEqual(await ids("tags-any=red,black"), [network.id])
  assert.ok(!(await ids("not-tags-any=green")).includes(network.id))
  assert.equal((await call("DELETE", `${path}/green`)).status, 204)
  await refused(call("GET", `${path}/green`), 404, "TagNotFound")
  // Some more at once; those that are there already stay.
  const more = await call("POST", path, { tags: ["blue", "black"] })
  assert.deepEqual([more.status, more.body], [201, { tags: ["blue", "black"] }])
  assert.deepEqual((await call("GET", path)).body.tags, ["red", "blue", "black"])
})

test("subnets are taken from pools without overlap", async () => {
  const pool = await make("subnetpool", {
    name: "pool",
    prefixes: ["10.70.0.0/24", "10.70.1.0/24"],
    default_prefixlen: 25,
  })
  assert.deepEqual(pool.prefixes, ["10.70.0.0/23"])
  const network = await make("network", {})
  const take = (values = {}) =>
    call("POST", "/subnets", {
      subnet: { network_id: network.id, ip_version: 4, subnetpool_id: pool.id, ...values },
    })
  const taken = await Promise.all([take(), take(), take()])
  const cidrs = taken.map((r) => r.body.subnet.cidr).sort()
  assert.deepEqual(cidrs, ["10.70.0.0/25", "10.70.0.128/25", "10.70.1.0/25"])
  await refused(take({ prefixlen: 24 }), 409, "SubnetAllocationError")
  await refused(take({ cidr: "10.70.0.0/26" }), 409, "SubnetAllocationError")
  await refused(call("DELETE", `/subnetpools/${pool.id}`), 400, "SubnetPoolDeleteError")
})

test("a project that asks for any network gets the same one each time", async () => {
  const { body } = await call("GET", "/routers")
  const path = `/auto-allocated-topology/${body.routers[0].project_id}`
  const pools = (await call("GET", "/subnetpools?is_default=true")).body.subnetpools
  assert.deepEqual(
    pools.map((each: { name: string }) => each.name),
    ["shared-default-subnetpool-v4"],
  )
  assert.equal((await call("GET", `${path}?fields=dry-run`)).status, 200)
  await call("DELETE", `/subnetpools/${pools[0].id}`, undefined, { token: admin })
  await refused(call("GET", path), 409, "AutoAllocationFailure")
  const pool = {
    name: "default",
    prefixes: ["10.90.0.0/16"],
    default_prefixlen: 24,
    is_default: true,
    shared: true,
  }
  await refused(call("POST", "/subnetpools", { subnetpool: pool }), 403, "PolicyNotAuthorized")
  await make("subnetpool", pool, admin)
  const dry = await call("GET", `${path}?fields=dry-run`)
  assert.equal(dry.body.auto_allocated_topology.id, "dry-run=pass")
  const both = await Promise.all([call("GET", path), call("GET", path)])
  const [id, other] = both.map((reply) => reply.body.auto_allocated_topology?.id)
  assert.ok(id)
  assert.equal(other, id)
  const { network } = (await call("GET", `/networks/${id}`)).body
  assert.equal(network.name, "auto_allocated_network")
  assert.equal(network.subnets.length, 1)
  assert.equal((await call("DELETE", path)).status, 204)
  await refused(call("GET", `/networks/${id}`), 404, "NetworkNotFound")
})

test("a network is shared with one project by an RBAC policy, and not taken back while it is used", async () => {
  const network = await make("network", { name: "for demo" }, admin)
  const { body } = await call("GET", "/routers")
  const projectId = body.routers[0].project_id
  const policy = {
    object_type: "network",
    object_id: network.id,
    action: "access_as_shared",
    target_tenant: projectId,
  }
  const shared = await call("POST", "/rbac-policies", { rbac_policy: policy }, { token: admin })
  assert.equal(shared.status, 201)
  const again = call("POST", "/rbac-policies", { rbac_policy: policy }, { token: admin })
  await refused(again, 409, "DuplicateRbacPolicy")
  assert.equal((await call("GET", `/networks/${network.id}`)).body.network.shared, true)
  const port = await make("port", { network_id: network.id })
  const path = `/rbac-policies/${shared.body.rbac_policy.id}`
  await refused(call("DELETE", path), 404, "RbacPolicyNotFound")
  await refused(call("DELETE", path, undefined, { token: admin }), 409, "RbacPolicyInUse")
  await call("DELETE", `/ports/${port.id}`)
  assert.equal((await call("DELETE", path, undefined, { token: admin })).status, 204)
  await refused(call("GET", `/networks/${network.id}`), 404, "NetworkNotFound")
  const own = await make("network", { name: "mine" })
  const all = { object_type: "network", object_id: own.id, action: "access_as_shared", target_tenant: "*" }
  await refused(call("POST", "/rbac-policies", { rbac_policy: all }), 403, "PolicyNotAuthorized")
})

test("what happens to a network is told once, in order", async () => {
  const network = await make("network", { name: "told" })
  await call("PUT", `/networks/${network.id}`, { network: { name: "renamed" } })
  await call("DELETE", `/networks/${network.id}`)
  const told = await cloud.database.pool.query(
    "select type from engine.outbox_event where resource_id = $1 order by id",
    [network.id],
  )
  assert.deepEqual(
    told.rows.map((row) => row.type),
    ["network.create.end", "network.update.end", "network.delete.end"],
  )
})

test("how many addresses there are is written with all digits", async () => {
  const network = await make("network", {})
  await make("subnet", { network_id: network.id, ip_version: 4, cidr: "10.65.0.0/24" })
  await make("subnet", { network_id: network.id, ip_version: 6, cidr: "2001:db8:65::/64" })
  const of = async (query: string) => {
    const url = `${cloud.baseUrl}/network/v2.0/network-ip-availabilities${query}`
    return await (await fetch(url, { headers: { "x-auth-token": admin } })).text()
  }
  // All but those of network and gateway; and 253 of IPv4.
  const text = await of(`/${network.id}`)
  assert.match(text, /"total_ips":18446744073709551867,/)
  assert.match(text, /"total_ips":18446744073709551614,/)
  assert.match(text, /"total_ips":253,/)
  assert.equal(
    await of(`?network_id=${network.id}&ip_version=4`).then((t) => t.match(/subnet_id/g)?.length),
    1,
  )
  assert.equal(await of("?network_id=no-id"), '{"network_ip_availabilities":[]}')
})
