import {
  idOf,
  type ServiceFixture,
  type Side,
  secretName,
  thing,
  type World,
  word,
} from "../../../test/foreign-ids/fixture.ts"

const v2 = "/network/v2.0"
const made = new Map<string, number>()

async function make(side: Side, world: World): Promise<void> {
  const { things, token } = side
  const name = secretName(side)
  const post = async (path: string, key: string, body: object, by = token) => {
    const { id } = (await world.make(by, "POST", `${v2}${path}`, { [key]: body }))[key]
    return id as string
  }
  const keep = async (kind: string, path: string, body: object) => {
    things.set(kind, await post(path, kind, body))
    return idOf(side, kind)
  }
  const net = side.name === "a" ? 11 : 12
  const network = await keep("network", "/networks", { name })
  const cidr = `10.${net}.0.0/24`
  const subnet = await keep("subnet", "/subnets", { name, network_id: network, cidr, ip_version: 4 })
  await keep("port", "/ports", { name, network_id: network })
  const outside = await externalNetwork(world)
  const router = await keep("router", "/routers", { name, external_gateway_info: { network_id: outside } })
  await world.make(token, "PUT", `${v2}/routers/${router}/add_router_interface`, { subnet_id: subnet })
  await keepFloatingIp(side, world, outside)
  await keepPortForwarding(side, world, outside)
  const group = await keep("security_group", "/security-groups", { name })
  const rule = {
    security_group_id: group,
    direction: "ingress",
    protocol: "tcp",
    port_range_min: 22,
    port_range_max: 22,
  }
  await keep("security_group_rule", "/security-group-rules", rule)
  await keep("address_scope", "/address-scopes", { name, ip_version: 4 })
  await keep("subnetpool", "/subnetpools", { name, prefixes: [`10.${net + 10}.0.0/16`] })
  await keep("address_group", "/address-groups", { name, addresses: [`10.${net}.9.0/24`] })
  // Shared with a third project, of which neither side is.
  const share = { object_type: "security_group", object_id: group, action: "access_as_shared" }
  await keep("rbac_policy", "/rbac-policies", { ...share, target_tenant: `friend-of-${name}` })
  await keepQos(side, world)
  things.set("external_network", outside)
  const rules = (await world.make(world.admin, "GET", `${v2}/default-security-group-rules`))
    .default_security_group_rules
  const ids = rules.map((rule: { id: string }) => rule.id).sort()
  things.set("default_security_group_rule", ids[0])
}

/** Made by administrators, for projects. */
async function keepQos({ name: sideName, things }: Side, world: World): Promise<void> {
  const policy = { name: secretName({ name: sideName }), project_id: things.get("project") }
  const post = async (path: string, key: string, body: object) =>
    (await world.make(world.admin, "POST", `${v2}/qos/policies${path}`, { [key]: body }))[key].id as string
  const kept = await post("", "policy", policy)
  things.set("qos_policy", kept)
  for (const [type, values] of qosRules)
    things.set(`${type}_rule`, await post(`/${kept}/${type}_rules`, `${type}_rule`, values))
}

const qosRules = [
  ["bandwidth_limit", { max_kbps: 1000 }],
  ["dscp_marking", { dscp_mark: 8 }],
  ["minimum_bandwidth", { min_kbps: 10 }],
  ["packet_rate_limit", { max_kpps: 10 }],
  ["minimum_packet_rate", { min_kpps: 1 }],
] as const
/** Of one rule below its policy, and by itself. */
const qosRuleBodies = qosRules.flatMap(([type, values]) => {
  const below = [
    `/qos/policies/{policy_id}/${type}_rules`,
    ...(type === "minimum_packet_rate" ? ["/qos/policies/{policy_id}/minimum-packet-rate-rules"] : []),
    ...(type === "packet_rate_limit" ? ["/policies/{policy_id}/packet_rate_limit_rules"] : []),
  ]
  const body = { [`${type}_rule`]: values }
  return [
    ...below.flatMap((path) => [
      [`POST ${path}`, body] as const,
      [`PUT ${path}/{${type}_rule_id}`, body] as const,
    ]),
    [
      `PUT /qos/alias-${type.replaceAll("_", "-")}-rules/{${type}_rule_id}`,
      { [`alias_${type}_rule`]: values },
    ] as const,
  ]
})

/**
 * At an address that nothing of everybody's shows: the external subnet's pool ends with 172.24.4.254, which shows
 * 172.24.4.2 and 172.24.4.25 too.
 */
async function keepFloatingIp({ things, token }: Side, world: World, outside: string): Promise<void> {
  const { subnets } = await world.make(world.admin, "GET", `${v2}/subnets?network_id=${outside}`)
  const shown = JSON.stringify(subnets)
  const body = { floatingip: { floating_network_id: outside } }
  let made: { id: string; floating_ip_address: string }
  do made = (await world.make(token, "POST", `${v2}/floatingips`, body)).floatingip
  while (shown.includes(made.floating_ip_address))
  const association = { floatingip: { port_id: things.get("port") } }
  await world.make(token, "PUT", `${v2}/floatingips/${made.id}`, association)
  things.set("floatingip", made.id)
  things.set("floating_ip_address", made.floating_ip_address)
}

async function externalNetwork(world: World): Promise<string> {
  const { networks } = await world.make(world.admin, "GET", `${v2}/networks?router:external=true`)
  return networks[0].id
}

/** A subnet of the side's own that nothing is on. */
async function freshSubnet(side: Side, world: World): Promise<{ networkId: string; subnetId: string }> {
  const nth = (made.get(side.name) ?? 0) + 1
  made.set(side.name, nth)
  const { network } = await world.make(side.token, "POST", `${v2}/networks`, { network: { name: "fresh" } })
  const cidr = `10.${side.name === "a" ? 101 : 102}.${nth}.0/24`
  const body = { subnet: { network_id: network.id, cidr, ip_version: 4 } }
  const { subnet } = await world.make(side.token, "POST", `${v2}/subnets`, body)
  return { networkId: network.id, subnetId: subnet.id }
}

const outside = (side: Side) => idOf(side, "external_network")

async function outsideSubnet(side: Side, world: World): Promise<string> {
  const { subnets } = await world.make(world.admin, "GET", `${v2}/subnets?network_id=${outside(side)}`)
  return subnets[0].id
}

/** Alone on a network of its own. */
async function freshPort(side: Side, world: World): Promise<string> {
  const { networkId } = await freshSubnet(side, world)
  const body = { port: { network_id: networkId } }
  return (await world.make(side.token, "POST", `${v2}/ports`, body)).port.id
}

/** On a floating IP of its own, to a port of its own. */
async function keepPortForwarding(side: Side, world: World, outside: string): Promise<void> {
  const { things, token } = side
  const floating = { floatingip: { floating_network_id: outside } }
  const floatingIpId = (await world.make(token, "POST", `${v2}/floatingips`, floating)).floatingip.id
  const network = { network_id: idOf(side, "network"), name: secretName(side) }
  const portId = (await world.make(token, "POST", `${v2}/ports`, { port: network })).port.id
  const forwarding = { internal_port_id: portId, internal_port: 80, external_port: 8080, protocol: "tcp" }
  const path = `${v2}/floatingips/${floatingIpId}/port_forwardings`
  const made = await world.make(token, "POST", path, { port_forwarding: forwarding })
  things.set("forwarding_floatingip", floatingIpId)
  things.set("port_forwarding", made.port_forwarding.id)
  things.set("forwarded_port", portId)
}

/** Of the side's own router. */
async function interfacePort(side: Side, world: World): Promise<string> {
  const { subnetId } = await freshSubnet(side, world)
  const path = `${v2}/routers/${idOf(side, "router")}/add_router_interface`
  return (await world.make(side.token, "PUT", path, { subnet_id: subnetId })).port_id
}

const named = (singular: string) => ({ [singular]: { name: "taken" } })
/** A rule is there once. */
function anyPort() {
  const port = Math.ceil(Math.random() * 60_000)
  return { port_range_min: port, port_range_max: port }
}

const gateway = (side: Side) => ({ router: { external_gateway_info: { network_id: outside(side) } } })
const tags = { tags: ["taken"] }
const tagged = [
  "/networks/{network_id}",
  "/subnets/{subnet_id}",
  "/ports/{port_id}",
  "/routers/{router_id}",
  "/floatingips/{floatingip_id}",
  "/security-groups/{security_group_id}",
  "/subnetpools/{subnetpool_id}",
  "/policies/{policy_id}",
  "/qos/policies/{policy_id}",
]

export const foreignIds: ServiceFixture = {
  service: "network",
  make,
  params: {
    network_id: thing("network"),
    subnet_id: thing("subnet"),
    port_id: thing("port"),
    router_id: thing("router"),
    floatingip_id: thing("floatingip"),
    "/floatingips/{floatingip_id}/port_forwardings floatingip_id": thing("forwarding_floatingip"),
    "/floatingips/{floatingip_id}/port_forwardings/{port_forwarding_id} floatingip_id":
      thing("forwarding_floatingip"),
    port_forwarding_id: thing("port_forwarding"),
    security_group_id: thing("security_group"),
    security_group_rule_id: thing("security_group_rule"),
    default_security_group_rule_id: thing("default_security_group_rule"),
    subnetpool_id: thing("subnetpool"),
    address_scope_id: thing("address_scope"),
    address_group_id: thing("address_group"),
    rbac_policy_id: thing("rbac_policy"),
    policy_id: thing("qos_policy"),
    ...Object.fromEntries(qosRules.map(([type]) => [`${type}_rule_id`, thing(`${type}_rule`)])),
    rule_type: word("bandwidth_limit"),
    project_id: thing("project"),
    agent_id: thing("network_agent"),
    tag: word("tag"),
    alias: word("router"),
  },
  fields: {
    project_id: thing("project"),
    tenant_id: thing("project"),
    target_tenant: thing("project"),
    network_id: thing("network"),
    "router.external_gateway_info.network_id": thing("network", outside),
    floating_network_id: thing("network", outside),
    subnet_id: thing("subnet"),
    "router.external_gateway_info.external_fixed_ips[].subnet_id": thing("subnet"),
    "floatingip.subnet_id": thing("subnet", outsideSubnet),
    "PUT /routers/{router_id}/remove_router_interface port_id": thing("port", interfacePort),
    "PUT /routers/{router_id}/add_router_interface subnet_id": thing(
      "subnet",
      async (side, world) => (await freshSubnet(side, world)).subnetId,
    ),
    "PUT /routers/{router_id}/add_router_interface port_id": thing("port", freshPort),
    subnetpool_id: thing("subnetpool"),
    port_id: thing("port"),
    internal_port_id: thing("forwarded_port"),
    device_id: thing("server"),
    security_groups: thing("security_group"),
    security_group_id: thing("security_group"),
    remote_group_id: thing("security_group"),
    remote_address_group_id: thing("address_group"),
    address_scope_id: thing("address_scope"),
    "rbac_policy.object_id": thing("network"),
    qos_policy_id: thing("qos_policy"),
    "router.external_gateway_info.qos_policy_id": thing("qos_policy"),
    segmentation_id: word("a number"),
    host_id: word("a host's name"),
  },
  bodies: {
    "POST /networks": named("network"),
    "PUT /networks/{network_id}": named("network"),
    "POST /subnets": async (side: Side, world: World) => {
      const { networkId } = await freshSubnet(side, world)
      return { subnet: { network_id: networkId, ip_version: 4, cidr: "10.200.0.0/24" } }
    },
    "PUT /subnets/{subnet_id}": named("subnet"),
    "POST /routers router.external_gateway_info.external_fixed_ips[].subnet_id": gateway,
    "PUT /routers/{router_id} router.external_gateway_info.external_fixed_ips[].subnet_id": gateway,
    "POST /ports": (side: Side) => ({ port: { network_id: idOf(side, "network") } }),
    "PUT /ports/{port_id}": named("port"),
    "POST /routers": named("router"),
    "PUT /routers/{router_id}": named("router"),
    "PUT /routers/{router_id}/add_router_interface": {},
    "PUT /routers/{router_id}/remove_router_interface port_id": {},
    "PUT /routers/{router_id}/remove_router_interface": (side: Side) => ({ subnet_id: idOf(side, "subnet") }),
    "PUT /routers/{router_id}/add_extraroutes": { router: { routes: [] } },
    "PUT /routers/{router_id}/remove_extraroutes": { router: { routes: [] } },
    "POST /floatingips": (side: Side) => ({
      floatingip: { floating_network_id: idOf(side, "external_network") },
    }),
    "PUT /floatingips/{floatingip_id}": { floatingip: { port_id: null } },
    "POST /floatingips/{floatingip_id}/port_forwardings": (side: Side) => {
      const port = Math.ceil(Math.random() * 60_000)
      const ports = { internal_port: port, external_port: port }
      return {
        port_forwarding: { internal_port_id: idOf(side, "forwarded_port"), protocol: "tcp", ...ports },
      }
    },
    "PUT /floatingips/{floatingip_id}/port_forwardings/{port_forwarding_id}": {
      port_forwarding: { description: "taken" },
    },
    "POST /security-groups": named("security_group"),
    "PUT /security-groups/{security_group_id}": named("security_group"),
    "POST /security-group-rules": (side: Side) => ({
      security_group_rule: {
        security_group_id: idOf(side, "security_group"),
        direction: "ingress",
        protocol: "udp",
        ...anyPort(),
      },
    }),
    "POST /default-security-group-rules": { default_security_group_rule: { direction: "ingress" } },
    "POST /subnetpools": { subnetpool: { name: "taken", prefixes: ["10.210.0.0/16"] } },
    "PUT /subnetpools/{subnetpool_id}": named("subnetpool"),
    "PUT /subnetpools/{subnetpool_id}/add_prefixes": { prefixes: ["10.211.0.0/16"] },
    "PUT /subnetpools/{subnetpool_id}/remove_prefixes": { prefixes: ["10.211.0.0/16"] },
    "POST /address-scopes": { address_scope: { name: "taken", ip_version: 4 } },
    "PUT /address-scopes/{address_scope_id}": named("address_scope"),
    "POST /address-groups": named("address_group"),
    "PUT /address-groups/{address_group_id}": named("address_group"),
    "PUT /address-groups/{address_group_id}/add_addresses": { addresses: ["10.9.9.9/32"] },
    "PUT /address-groups/{address_group_id}/remove_addresses": { addresses: ["10.9.9.9/32"] },
    "POST /rbac-policies": (side: Side) => ({
      rbac_policy: {
        object_type: "network",
        object_id: idOf(side, "network"),
        action: "access_as_shared",
        target_tenant: `somebody-${Math.random()}`,
      },
    }),
    "POST /qos/policies": named("policy"),
    "PUT /qos/policies/{policy_id}": named("policy"),
    ...Object.fromEntries(qosRuleBodies),
    "POST /routers router.external_gateway_info.qos_policy_id": gateway,
    "PUT /routers/{router_id} router.external_gateway_info.qos_policy_id": gateway,
    "PUT /rbac-policies/{rbac_policy_id}": { rbac_policy: { target_tenant: "somebody" } },
    ...Object.fromEntries(
      tagged.flatMap((path) => [`POST ${path}/tags`, `PUT ${path}/tags`]).map((each) => [each, tags]),
    ),
    "PUT /quotas/{project_id}": { quota: { network: 1 } },
    "PUT /agents/{agent_id}": { agent: { description: "taken" } },
  },
  allowed: [
    ...["POST /ports", "PUT /ports/{port_id}"].flatMap((probe) => [
      { probe, where: "port.device_id", why: "text for people, which nothing believes (ADR 14)" },
      { probe, where: "rows", why: "the stranger's own port has the text" },
    ]),
    ...["POST /rbac-policies", "PUT /rbac-policies/{rbac_policy_id}"].flatMap((probe) => [
      { probe, where: "rbac_policy.target_tenant", why: "one says with whom one shares what is one's own" },
      { probe, where: "rows", why: "the stranger's own policy names whom it shares with" },
    ]),
  ],
}
