// Neutron's rule names with its defaults (2025.1). Its base rules are written out (network_owner, shared …) or have
// the service's name before them, as one policy engine serves every service and others have rules of those names.
import type { PolicyDefault } from "../platform/policy/policy.ts"
import { ruleTypeNames } from "./qos/rule-types.ts"

const admin = "rule:network:context_is_admin"
const service = "rule:network:service_api"
const advancedService = "rule:context_is_advsvc"
const owner = "project_id:%(project_id)s"
const networkOwner = "project_id:%(network:project_id)s"
const groupOwner = "project_id:%(security_group:project_id)s"
const isShared = "'true':%(shared)s"
const isExternal = "'true':%(router:external)s"
const isNetworkDevice = "'network':%(device_owner_kind)s"

const member = `${admin} or (role:member and ${owner})`
const reader = `${admin} or (role:reader and ${owner})`
const manager = `${admin} or (role:manager and ${owner})`
const networkMember = `${admin} or (role:member and ${networkOwner})`
const adminOrService = `${admin} or ${service}`
const anyReader = "role:reader"

type Attributes = Readonly<Record<string, string>>
interface Verbs {
  create?: string
  get?: string
  update?: string
  delete?: string
}

/** `create_router`, `get_router`, `get_router:ha` … */
function noun(name: string, verbs: Verbs, attributes: Partial<Record<keyof Verbs, Attributes>> = {}) {
  const rules: PolicyDefault[] = []
  for (const verb of ["create", "get", "update", "delete"] as const) {
    const check = verbs[verb]
    if (check !== undefined)
      rules.push(rule(`${verb}_${name}`, check, `${verb} ${name.replaceAll("_", " ")}`))
    for (const [attribute, attributeCheck] of Object.entries(attributes[verb] ?? {})) {
      rules.push(
        rule(
          `${verb}_${name}:${attribute}`,
          attributeCheck,
          `${attribute} in ${verb} ${name.replaceAll("_", " ")}`,
        ),
      )
    }
  }
  return rules
}

function rule(name: string, check: string, what: string): PolicyDefault {
  return { name, check, description: `Allows: ${what}.`, scopes: ["project"] }
}

const owned: Verbs = { create: member, get: reader, update: member, delete: member }
const tagsOf = (check: Verbs): Partial<Record<keyof Verbs, Attributes>> => ({
  ...(check.create ? { create: { tags: check.create } } : {}),
  ...(check.get ? { get: { tags: check.get } } : {}),
  ...(check.update ? { update: { tags: check.update } } : {}),
  ...(check.delete ? { delete: { tags: check.delete } } : {}),
})

const provider: Attributes = {
  "provider:network_type": admin,
  "provider:physical_network": admin,
  "provider:segmentation_id": admin,
}
const seeNetwork = `${reader} or ${service} or ${isShared} or ${isExternal} or ${advancedService}`
const networkRules = noun(
  "network",
  { ...owned, get: seeNetwork },
  {
    create: {
      shared: admin,
      "router:external": admin,
      is_default: admin,
      port_security_enabled: member,
      ...provider,
      tags: member,
    },
    get: { ...provider, tags: seeNetwork },
    update: {
      shared: admin,
      "router:external": admin,
      is_default: admin,
      port_security_enabled: member,
      ...provider,
      tags: member,
    },
    delete: { tags: member },
  },
)

const seeSubnet = `(role:reader and ${owner}) or ${isShared} or ${isExternal} or ${admin} or (role:reader and ${networkOwner})`
const changeSubnet = `(role:member and ${owner}) or ${networkMember}`
const subnetRules = noun(
  "subnet",
  { create: networkMember, get: seeSubnet, update: changeSubnet, delete: changeSubnet },
  {
    create: { service_types: admin, tags: changeSubnet },
    get: { tags: seeSubnet },
    update: { service_types: admin, tags: changeSubnet },
    delete: { tags: changeSubnet },
  },
)

const portOwner = `${adminOrService} or (role:member and ${networkOwner})`
const changePort = `${adminOrService} or (role:member and ${owner})`
const seePort = `${adminOrService} or (role:reader and ${networkOwner}) or (role:reader and ${owner})`
const dropPort = `${adminOrService} or (role:member and ${networkOwner}) or (role:member and ${owner})`
const portWrites: Attributes = {
  device_owner: `not ${isNetworkDevice} or ${portOwner}`,
  "fixed_ips:ip_address": portOwner,
  "fixed_ips:subnet_id": `${portOwner} or ${isShared}`,
  port_security_enabled: portOwner,
  "binding:host_id": adminOrService,
  // Neutron leaves this to the service role; an administrator of this cloud has no service to act through.
  "binding:profile": adminOrService,
  "binding:vnic_type": changePort,
  allowed_address_pairs: portOwner,
  tags: `${changePort} or ${advancedService}`,
}
const portRules = noun(
  "port",
  { create: changePort, get: seePort, update: changePort, delete: dropPort },
  {
    create: { ...portWrites, mac_address: portOwner, fixed_ips: `${portOwner} or ${isShared}` },
    get: {
      "binding:vif_type": adminOrService,
      "binding:vif_details": adminOrService,
      "binding:host_id": adminOrService,
      "binding:profile": adminOrService,
      tags: `${seePort} or ${advancedService}`,
    },
    update: {
      ...portWrites,
      mac_address: `${adminOrService} or (role:manager and ${networkOwner})`,
      fixed_ips: portOwner,
    },
    delete: { tags: dropPort },
  },
)

const gateway: Attributes = {
  external_gateway_info: member,
  "external_gateway_info:network_id": member,
  "external_gateway_info:enable_snat": admin,
  "external_gateway_info:external_fixed_ips": admin,
  tags: member,
}
const routerRules = [
  ...noun("router", owned, {
    create: gateway,
    get: { tags: reader },
    update: gateway,
    delete: { tags: member },
  }),
  rule("add_router_interface", member, "add a subnet to a router"),
  rule("remove_router_interface", member, "remove a subnet from a router"),
  rule("add_extraroutes", member, "add routes to a router"),
  rule("remove_extraroutes", member, "remove routes from a router"),
]

const floatingIpRules = [
  ...noun("floatingip", owned, {
    ...tagsOf(owned),
    create: { floating_ip_address: manager, tags: member },
  }),
  ...noun("floatingip_port_forwarding", owned),
]

const seeGroup = `${reader} or ${isShared}`
const groupMember = `${admin} or (role:member and ${groupOwner})`
const securityGroupRules = [
  ...noun("security_group", { ...owned, get: seeGroup }, tagsOf({ ...owned, get: seeGroup })),
  ...noun("security_group_rule", {
    create: groupMember,
    get: `${admin} or (role:reader and ${groupOwner}) or (role:reader and ${owner})`,
    delete: groupMember,
  }),
  ...noun("default_security_group_rule", { create: admin, get: anyReader, delete: admin }),
]

const poolVerbs: Verbs = { ...owned, get: seeGroup }
const addressRules = [
  ...noun("subnetpool", poolVerbs, {
    create: { shared: admin, is_default: admin, tags: member },
    get: { tags: seeGroup },
    update: { is_default: admin, tags: member },
    delete: { tags: member },
  }),
  rule("onboard_network_subnets", member, "take the subnets of a network into a subnet pool"),
  rule("add_prefixes", member, "add prefixes to a subnet pool"),
  rule("remove_prefixes", member, "remove prefixes from a subnet pool"),
  ...noun("address_scope", poolVerbs, { create: { shared: admin }, update: { shared: admin } }),
  ...noun("address_group", poolVerbs),
]

const seePolicy = `${reader} or ${isShared}`
const qosVerbs: Verbs = { create: admin, get: seePolicy, update: admin, delete: admin }
const qosRules = [
  ...noun("policy", qosVerbs, tagsOf(qosVerbs)),
  rule("get_rule_type", admin, "list types of QoS rules"),
  ...ruleTypeNames.flatMap((type) => [
    ...noun(`policy_${type}_rule`, qosVerbs),
    ...noun(`alias_${type}_rule`, { get: seePolicy, update: admin, delete: admin }),
  ]),
]

const noWildcard = `${admin} or not '*':%(target_tenant)s`
const rbacRules = noun("rbac_policy", owned, {
  create: { target_tenant: noWildcard },
  update: { target_tenant: noWildcard },
})

const otherRules = [
  ...noun("quota", { get: reader, update: admin, delete: admin }),
  ...noun("agent", { get: admin, update: admin, delete: admin }),
  rule("get_dhcp-networks", admin, "list the networks of a DHCP agent"),
  rule("get_dhcp-agents", admin, "list the DHCP agents of a network"),
  rule("get_l3-agents", admin, "list the agents of a router"),
  rule("get_availability_zone", anyReader, "list availability zones"),
  rule("get_service_provider", anyReader, "list service providers"),
  rule("get_floatingip_pool", reader, "list floating IP pools"),
  rule("get_network_ip_availability", admin, "show how many addresses are used"),
  rule("get_auto_allocated_topology", reader, "get the project's own network, made when missing"),
  rule("delete_auto_allocated_topology", member, "delete the network made for the project"),
]

const baseRules: readonly PolicyDefault[] = [
  {
    name: "network:context_is_admin",
    check: "rule:context_is_admin",
    description: "Whom the network service takes for an administrator.",
  },
  { name: "network:service_api", check: "role:service", description: "Another service of the cloud." },
  { name: "context_is_advsvc", check: "role:advsvc", description: "A service built upon networks." },
  {
    name: "context_with_global_access",
    check: "!",
    description: "Who finds what belongs to any project, where the rule of the request allows it.",
  },
]

export const networkPolicies: readonly PolicyDefault[] = [
  ...baseRules,
  ...networkRules,
  ...subnetRules,
  ...portRules,
  ...routerRules,
  ...floatingIpRules,
  ...securityGroupRules,
  ...addressRules,
  ...qosRules,
  ...rbacRules,
  ...otherRules,
]
