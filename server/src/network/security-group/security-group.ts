import { type RawBuilder, sql } from "kysely"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { securityGroupNotFound, securityGroupRuleNotFound } from "../faults.ts"
import { type Columns, column, type Source, standardColumns } from "../resource/list.ts"
import type { Described, Standard } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

export interface SecurityGroup extends Described {
  stateful: boolean
  isDefault: boolean
  shared: boolean
  securityGroupRules: SecurityGroupRule[]
}

export interface SecurityGroupRule extends Standard {
  securityGroupId: string
  description: string
  direction: "ingress" | "egress"
  ethertype: "IPv4" | "IPv6"
  protocol: string | null
  portRangeMin: number | null
  portRangeMax: number | null
  remoteIpPrefix: string | null
  /** With the host bits that the prefix was asked for with. */
  remoteIpGiven: string | null
  remoteGroupId: string | null
  remoteAddressGroupId: string | null
  belongsToDefaultSg: boolean
  /** Of its group, for the policy. */
  groupProjectId: string
}

function ruleColumns(): Columns {
  return {
    ...standardColumns("r", { tags: false }),
    securityGroupId: column("uuid", sql`r.security_group_id`),
    direction: column("text", sql`r.direction`),
    ethertype: column("text", sql`r.ethertype`),
    protocol: column("text", sql`r.protocol`),
    portRangeMin: column("integer", sql`r.port_range_min`),
    portRangeMax: column("integer", sql`r.port_range_max`),
    remoteIpPrefix: column("cidr", sql`r.remote_ip_prefix`),
    remoteIpGiven: column("text", sql`coalesce(r.remote_ip_given, r.remote_ip_prefix::text)`),
    remoteGroupId: column("uuid", sql`r.remote_group_id`),
    remoteAddressGroupId: column("uuid", sql`r.remote_address_group_id`),
    belongsToDefaultSg: column("boolean", sql`g.is_default`),
    groupProjectId: column("text", sql`g.project_id`),
  }
}

/** Times as JSON are texts; `readGroup` makes them dates again. */
function rulesOfGroup(): RawBuilder<unknown> {
  const pairs = Object.entries(ruleColumns())
    .filter(([, c]) => !c.isHidden)
    .map(([key, c]) => sql`${sql.lit(key)}, ${c.sql}`)
  return sql`(select coalesce(json_agg(json_build_object(${sql.join(pairs)}) order by r.created_at, r.id), '[]')
    from network.security_group_rule r where r.security_group_id = g.id)`
}

export function securityGroupSource(viewer: Viewer): Source {
  const shared = sharedWith(viewer, "security_group", sql`g.id`)
  return {
    table: sql`network.security_group`,
    alias: "g",
    columns: {
      ...standardColumns("g"),
      name: column("text", sql`g.name`),
      stateful: column("boolean", sql`g.is_stateful`),
      isDefault: column("boolean", sql`g.is_default`),
      shared: column("boolean", shared),
      securityGroupRules: column("other", rulesOfGroup()),
    },
    visible: visibleTo(viewer, {
      owner: sql`g.project_id`,
      shared: { objectType: "security_group", objectId: sql`g.id` },
    }),
    markerFault: securityGroupNotFound,
  }
}

export function securityGroupRuleSource(viewer: Viewer): Source {
  return {
    table: sql`network.security_group_rule`,
    alias: "r",
    joins: sql`join network.security_group g on g.id = r.security_group_id`,
    columns: ruleColumns(),
    visible: visibleTo(viewer, {
      owner: sql`r.project_id`,
      within: { id: sql`r.security_group_id`, owner: sql`g.project_id`, table: sql`network.security_group` },
    }),
    markerFault: securityGroupRuleNotFound,
  }
}

/** A group as read: the times of its rules are texts in JSON. */
export function readGroup(group: SecurityGroup): SecurityGroup {
  for (const rule of group.securityGroupRules) {
    rule.createdAt = new Date(rule.createdAt)
    rule.updatedAt = new Date(rule.updatedAt)
  }
  return group
}

export function securityGroupTarget(group: { projectId: string; shared: boolean }): PolicyTarget {
  return {
    project_id: group.projectId,
    tenant_id: group.projectId,
    shared: group.shared,
    "security_group:project_id": group.projectId,
    "security_group:tenant_id": group.projectId,
  }
}

export function ruleTarget(rule: { projectId: string; groupProjectId: string }): PolicyTarget {
  return {
    project_id: rule.projectId,
    tenant_id: rule.projectId,
    "security_group:project_id": rule.groupProjectId,
    "security_group:tenant_id": rule.groupProjectId,
  }
}
