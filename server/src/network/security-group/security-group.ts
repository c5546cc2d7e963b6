import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import {
  boolean,
  cidr,
  expressionOf,
  field,
  integer,
  nullable,
  text,
  uuid,
  word,
} from "../../platform/noun/field.ts"
import { type Create, noun, type Thing } from "../../platform/noun/noun.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import { nullable as nullableSchema } from "../../platform/schema/make.ts"
import { securityGroupNotFound, securityGroupRuleNotFound } from "../faults.ts"
import { descriptionField, ownedFields, tagFields } from "../resource/standard.ts"
import { sharedWith, type Viewer } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

const TextOrNull = nullableSchema(Type.String())
const listed = { filter: true, sort: true } as const
const given = { create: true, ...listed } as const

const ruleFields = {
  ...ownedFields("r"),
  description: text(sql`r.description`, given),
  securityGroupId: uuid(sql`r.security_group_id`, { create: "required", ...listed }),
  direction: word(["ingress", "egress"], sql`r.direction`, { create: "required", ...listed }),
  ethertype: word(["IPv4", "IPv6"], sql`r.ethertype`, given),
  protocol: nullable(text(sql`r.protocol`, given)),
  portRangeMin: nullable(integer(sql`r.port_range_min`, given)),
  portRangeMax: nullable(integer(sql`r.port_range_max`, given)),
  remoteIpPrefix: nullable(cidr(sql`r.remote_ip_prefix`, given)),
  /** With the host bits that the prefix was asked for with. */
  remoteIpGiven: nullable(
    text(sql`coalesce(r.remote_ip_given, r.remote_ip_prefix::text)`, { internal: true }),
  ),
  remoteGroupId: nullable(uuid(sql`r.remote_group_id`, { input: TextOrNull, ...given })),
  remoteAddressGroupId: nullable(uuid(sql`r.remote_address_group_id`, { input: TextOrNull, ...given })),
  belongsToDefaultSg: boolean(sql`g.is_default`, { filter: true }),
  /** Of its group, for the policy. */
  groupProjectId: text(sql`g.project_id`, { internal: true }),
}

export const securityGroupRuleNoun = noun({
  name: "network.security_group_rule",
  table: sql`network.security_group_rule`,
  alias: "r",
  joins: sql`join network.security_group g on g.id = r.security_group_id`,
  fields: ruleFields,
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`r.project_id`,
      within: { id: sql`r.security_group_id`, owner: sql`g.project_id`, table: sql`network.security_group` },
    }),
  notFound: securityGroupRuleNotFound,
})

export type SecurityGroupRule = Thing<typeof securityGroupRuleNoun>
export type SecurityGroupRuleInput = Create<typeof securityGroupRuleNoun>

/** Times as JSON are texts; `readGroup` makes them dates again. */
function rulesOfGroup(): RawBuilder<unknown> {
  const pairs = Object.entries(ruleFields)
    .filter(([, { isShown }]) => isShown)
    .map(([key, each]) => sql`${sql.lit(key)}, ${expressionOf(each, undefined)}`)
  return sql`(select coalesce(json_agg(json_build_object(${sql.join(pairs)}) order by r.created_at, r.id), '[]')
    from network.security_group_rule r where r.security_group_id = g.id)`
}

export const securityGroupNoun = noun({
  name: "network.security_group",
  table: sql`network.security_group`,
  alias: "g",
  fields: {
    ...ownedFields("g"),
    description: descriptionField("g"),
    ...tagFields("g"),
    name: text(sql`g.name`, { create: true, update: true, filter: true, sort: true }),
    stateful: boolean(sql`g.is_stateful`, { create: true, update: true, filter: true }),
    isDefault: boolean(sql`g.is_default`, { internal: true }),
    shared: boolean((viewer: Viewer) => sharedWith(viewer, "security_group", sql`g.id`), { filter: true }),
    securityGroupRules: field("other", Type.Array(Type.Unsafe<SecurityGroupRule>({})), rulesOfGroup()),
  },
  visible: (viewer: Viewer) =>
    visibleTo(viewer, {
      owner: sql`g.project_id`,
      shared: { objectType: "security_group", objectId: sql`g.id` },
    }),
  notFound: securityGroupNotFound,
})

export type SecurityGroup = Thing<typeof securityGroupNoun>
export type SecurityGroupInput = Create<typeof securityGroupNoun>

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
