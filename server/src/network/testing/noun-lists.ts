import { type RawBuilder, sql } from "kysely"
import {
  at,
  count,
  fewOf,
  id,
  listsOf,
  type NounFixture,
  name,
  nobody,
  owner,
  rows,
  same,
  seen,
} from "../../../test/noun-lists/fixture.ts"
import { addressGroupNoun } from "../address-group/address-group.ts"
import { addressScopeNoun } from "../address-scope/address-scope.ts"
import { agentNoun } from "../agent/agent.ts"
import { floatingIpNoun } from "../floating-ip/floating-ip.ts"
import { networkNoun } from "../network/network.ts"
import { portNoun } from "../port/port.ts"
import { portForwardingNoun } from "../port-forwarding/port-forwarding.ts"
import { qosPolicyNoun } from "../qos/qos-policy.ts"
import { rbacPolicyNoun } from "../rbac/rbac-policy.ts"
import type { Viewer } from "../resource/viewer.ts"
import { routerNoun } from "../router/router.ts"
import { defaultRuleNoun } from "../security-group/default-rule.ts"
import { securityGroupNoun, securityGroupRuleNoun } from "../security-group/security-group.ts"
import { subnetNoun } from "../subnet/subnet.ts"
import { subnetPoolNoun } from "../subnet-pool/subnet-pool.ts"

const member: Viewer = { projectId: "me", seesAll: false }
const admin: Viewer = { projectId: "admin", seesAll: true }
const stranger: Viewer = { projectId: null, seesAll: false }
const viewers = { member, admin, stranger }

/** The id of the floating IP with the number 1. */
const firstFloatingIp = "9cc6cad2-5db9-4d2f-6477-00a6cb62df7a"
const uuids = ["00000000-0000-4000-8000-000000000000"]
const standard = {
  changedSince: ["2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z"],
  tags: ["a"],
  tagsAny: ["a"],
  notTags: ["a"],
  notTagsAny: ["a"],
}

/** All share with somebody; the last few with the member, and one with everybody. */
function shares(type: string, noun: string): RawBuilder<unknown> {
  return sql`insert into network.rbac_policy (id, project_id, object_type, object_id, action, target_project, created_at)
    select ${id(`rbac ${noun}`)}, ${owner}, ${sql.lit(type)}, ${id(noun)}, 'access_as_shared',
      case when g > ${sql.lit(count - seen)} then 'me' when g = ${sql.lit(count - seen)} then '*'
        else 'somebody' || g end, ${at}
    from ${rows}`
}

/** Each fifth port of a network is another project's; the member's networks have some too. */
const network = id("network", "g - (g - 1) % 5")

export const nounLists: readonly NounFixture[] = [
  listsOf(networkNoun, {
    ...viewers,
    rows: [
      sql`insert into network.network (id, project_id, name, created_at, mtu, provider_type, segmentation_id)
        select ${id("network")}, ${owner}, ${name}, ${at}, 1442, 'geneve', g from ${rows}`,
      shares("network", "network"),
    ],
    values: { ...standard, subnetId: uuids },
    unindexed: {
      [same]: ["adminStateUp", "status", "mtu", "providerNetworkType", "providerPhysicalNetwork"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  listsOf(subnetNoun, {
    ...viewers,
    rows: [
      sql`insert into network.subnet (id, network_id, project_id, name, created_at, ip_version, cidr, gateway_ip)
        select ${id("subnet")}, ${id("network")}, ${owner}, ${name}, ${at}, 4, '10.0.0.0/16', '10.0.0.1' from ${rows}`,
      sql`insert into network.allocation_pool (subnet_id, first_address, last_address)
        select ${id("subnet")}, '10.0.0.2', '10.0.255.254' from ${rows}`,
    ],
    values: standard,
    unindexed: {
      [same]: ["ipVersion", "enableDhcp", "ipv6RaMode", "ipv6AddressMode"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  listsOf(portNoun, {
    ...viewers,
    rows: [
      sql`insert into network.port (id, network_id, project_id, name, created_at, mac_address, device_id, device_owner)
        select ${id("port")}, ${network}, case g % 5 when 0 then 'p0' else ${owner} end, ${name}, ${at},
          ('fa:16' || regexp_replace(lpad(to_hex(g), 8, '0'), '(..)', ':\\1', 'g'))::macaddr, 'device-' || g,
          case when g % 1000 = 0 then 'network:router_interface' else 'compute:nova' end from ${rows}`,
      sql`insert into network.ip_allocation (subnet_id, address, network_id, port_id)
        select ${id("subnet", "g - (g - 1) % 5")}, '10.0.0.0'::inet + g % ${sql.lit(count / 20)}::integer + 2, ${network},
          ${id("port")} from ${rows}`,
    ],
    values: {
      ...standard,
      fixedIpSubnetId: uuids,
      securityGroups: uuids,
      fixedIpAddress: ["10.0.0.7", "10.9.9.9"],
      fixedIpAddressPart: ["10.9"],
    },
    unindexed: {
      [same]: ["adminStateUp", "status"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny", "fixedIpAddressPart"],
    },
  }),
  listsOf(routerNoun, {
    ...viewers,
    rows: [
      sql`insert into network.router (id, project_id, name, created_at)
        select ${id("router")}, ${owner}, ${name}, ${at} from ${rows}`,
    ],
    values: { ...standard, gatewayNetworkId: uuids },
    unindexed: {
      [same]: ["adminStateUp", "status"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  listsOf(floatingIpNoun, {
    ...viewers,
    rows: [
      sql`insert into network.floating_ip (id, project_id, created_at, floating_network_id, floating_port_id, address)
        select ${id("floating ip")}, ${owner}, ${at}, ${id("network", "1")}, ${id("port")}, '11.0.0.0'::inet + g
        from ${rows}`,
    ],
    values: standard,
    unindexed: {
      [same]: ["status"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  listsOf(portForwardingNoun, {
    ...viewers,
    rows: [
      sql`insert into network.port_forwarding (id, project_id, created_at, floating_ip_id, internal_port_id,
          internal_ip_address, protocol, internal_port_first, internal_port_last, external_port_first,
          external_port_last)
        select ${id("port forwarding")}, ${owner}, ${at}, ${id("floating ip")}, ${id("port")}, '10.0.0.9', 'tcp',
          80, 80, 8080, 8080 from ${rows}`,
    ],
    values: { protocol: ["tcp", "udp"], externalPortRange: ["8080:8080", "1:2"] },
    within: { floatingIpId: [firstFloatingIp] },
  }),
  listsOf(securityGroupNoun, {
    ...viewers,
    rows: [
      sql`insert into network.security_group (id, project_id, name, created_at)
        select ${id("group")}, ${owner}, ${name}, ${at} from ${rows}`,
      sql`insert into network.port_security_group (port_id, security_group_id)
        select ${id("port")}, ${id("group")} from ${rows}`,
      shares("security_group", "group"),
    ],
    values: standard,
    unindexed: {
      [same]: ["stateful"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  listsOf(securityGroupRuleNoun, {
    ...viewers,
    rows: [
      sql`insert into network.security_group_rule (id, security_group_id, project_id, created_at, direction, ethertype,
          port_range_min, port_range_max, protocol)
        select ${id("rule")}, ${id("group")}, ${owner}, ${at}, 'ingress', 'IPv4', g % 60000, g % 60000, 'tcp'
        from ${rows}`,
    ],
    values: {
      ...standard,
      direction: ["ingress", "egress"],
      ethertype: ["IPv4", "IPv6"],
      protocol: ["tcp", "udp"],
    },
    unindexed: {
      [same]: ["direction", "ethertype", "protocol"],
      [nobody]: [
        "revisionNumber",
        "changedSince",
        "description",
        "portRangeMin",
        "portRangeMax",
        "remoteIpPrefix",
      ],
    },
  }),
  listsOf(addressScopeNoun, {
    ...viewers,
    rows: [
      sql`insert into network.address_scope (id, project_id, name, created_at, ip_version)
        select ${id("scope")}, ${owner}, ${name}, ${at}, 4 from ${rows}`,
      shares("address_scope", "scope"),
    ],
    values: standard,
    unindexed: {
      [same]: ["ipVersion"],
      [nobody]: ["revisionNumber", "changedSince"],
    },
  }),
  listsOf(subnetPoolNoun, {
    ...viewers,
    rows: [
      sql`insert into network.subnet_pool (id, project_id, name, created_at, ip_version, prefixes,
          default_prefix_length, min_prefix_length, max_prefix_length)
        select ${id("pool")}, ${owner}, ${name}, ${at}, 4, array['10.0.0.0/8'::cidr], 24, 8, 32 from ${rows}`,
      shares("subnetpool", "pool"),
    ],
    values: standard,
    unindexed: {
      [same]: ["ipVersion", "defaultPrefixlen", "minPrefixlen", "maxPrefixlen"],
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny", "defaultQuota"],
    },
  }),
  listsOf(addressGroupNoun, {
    ...viewers,
    rows: [
      sql`insert into network.address_group (id, project_id, name, created_at)
        select ${id("address group")}, ${owner}, ${name}, ${at} from ${rows}`,
      shares("address_group", "address group"),
    ],
    values: standard,
    unindexed: {
      [nobody]: ["revisionNumber", "changedSince", "description"],
    },
  }),
  listsOf(qosPolicyNoun, {
    ...viewers,
    rows: [
      sql`insert into network.qos_policy (id, project_id, name, created_at)
        select ${id("qos policy")}, ${owner}, ${name}, ${at} from ${rows}`,
      sql`insert into network.qos_rule (id, qos_policy_id, type, dscp_mark)
        select ${id("qos rule")}, ${id("qos policy")}, 'dscp_marking', 8 from ${rows}`,
      shares("qos_policy", "qos policy"),
    ],
    values: standard,
    unindexed: {
      [nobody]: ["revisionNumber", "changedSince", "description", "tags", "tagsAny"],
    },
  }),
  // Its rows are there already.
  listsOf(rbacPolicyNoun, {
    ...viewers,
    rows: [],
    unindexed: {
      [same]: ["objectType", "action"],
    },
  }),
  fewOf(agentNoun, "two for each host"),
  fewOf(defaultRuleNoun, "an administrator's few, which all new groups begin with"),
]
