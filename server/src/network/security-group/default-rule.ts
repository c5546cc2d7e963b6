// What new security groups begin with; an administrator's matter.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRule, defaultRuleExists, defaultRuleNotFound, securityGroupNotFound } from "../faults.ts"
import { column, findRow, listed, listRows, type Source } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import { change } from "../resource/standard.ts"
import { visibleToAll } from "../resource/visible.ts"
import { SecurityGroupRuleInput } from "./rule.ts"
import { checkRule } from "./rule-check.ts"

export interface DefaultSecurityGroupRule {
  id: string
  description: string
  direction: "ingress" | "egress"
  ethertype: "IPv4" | "IPv6"
  protocol: string | null
  portRangeMin: number | null
  portRangeMax: number | null
  remoteIpPrefix: string | null
  /** A group's id, or PARENT for the group that the rule comes into. */
  remoteGroupId: string | null
  remoteAddressGroupId: string | null
  usedInDefaultSg: boolean
  usedInNonDefaultSg: boolean
  createdAt: Date
}

const source: Source = {
  table: sql`network.default_security_group_rule`,
  alias: "d",
  columns: {
    id: column("uuid", sql`d.id`),
    description: column("text", sql`d.description`),
    direction: column("text", sql`d.direction`),
    ethertype: column("text", sql`d.ethertype`),
    protocol: column("text", sql`d.protocol`),
    portRangeMin: column("integer", sql`d.port_range_min`),
    portRangeMax: column("integer", sql`d.port_range_max`),
    remoteIpPrefix: column("cidr", sql`d.remote_ip_prefix`),
    remoteGroupId: column("text", sql`d.remote_group_id`),
    remoteAddressGroupId: column("uuid", sql`d.remote_address_group_id`),
    usedInDefaultSg: column("boolean", sql`d.is_used_in_default_group`),
    usedInNonDefaultSg: column("boolean", sql`d.is_used_in_other_groups`),
    createdAt: column("time", sql`d.created_at`),
  },
  visible: visibleToAll,
  markerFault: defaultRuleNotFound,
}

export const DefaultRuleInput = Type.Intersect([
  Type.Omit(SecurityGroupRuleInput, ["projectId", "securityGroupId"]),
  Type.Object({
    usedInDefaultSg: Type.Optional(Type.Boolean()),
    usedInNonDefaultSg: Type.Optional(Type.Boolean()),
  }),
])
export type DefaultRuleInput = Static<typeof DefaultRuleInput>

export const getDefaultSecurityGroupRule = operation({
  name: "network.default_security_group_rule.get",
  input: Type.Object({ ruleId: Type.String() }),
  faults: [defaultRuleNotFound],
  load: async (ctx, { ruleId }) => {
    const rule = await findRow<DefaultSecurityGroupRule>(ctx.db, source, ruleId)
    if (!rule) throw defaultRuleNotFound(ruleId)
    return rule
  },
  rule: "get_default_security_group_rule",
  run: async (_ctx, _input, rule) => rule,
})

export const listDefaultSecurityGroupRules = listOperation<DefaultSecurityGroupRule>({
  name: "network.default_security_group_rule.list",
  rule: "get_default_security_group_rule",
  run: async (ctx, query) => {
    const rules = await listRows<DefaultSecurityGroupRule>(ctx.db, source, query)
    return listed(ctx, "get_default_security_group_rule", rules, () => ({}))
  },
})

export const createDefaultSecurityGroupRules = operation({
  name: "network.default_security_group_rule.create",
  input: Type.Object({ rules: Type.Array(DefaultRuleInput) }),
  faults: [badRule, defaultRuleExists, securityGroupNotFound],
  rule: "create_default_security_group_rule",
  run: async (ctx, { rules }) =>
    await change(ctx, async (tx) => {
      const made: DefaultSecurityGroupRule[] = []
      for (const input of rules) {
        const remote = input.remoteGroupId ?? null
        if (remote !== null && remote !== "PARENT" && !isUuid(remote)) throw securityGroupNotFound(remote)
        const checked = checkRule({
          direction: input.direction,
          ethertype: input.ethertype ?? "IPv4",
          protocol: input.protocol ?? null,
          portRangeMin: input.portRangeMin ?? null,
          portRangeMax: input.portRangeMax ?? null,
          remoteIpPrefix: input.remoteIpPrefix ?? null,
          remoteGroupId: remote,
          remoteAddressGroupId: input.remoteAddressGroupId ?? null,
        })
        const row = await tx
          .insertInto("network.default_security_group_rule")
          .values({
            id: newUuid(),
            description: input.description ?? "",
            direction: checked.direction,
            ethertype: checked.ethertype,
            protocol: checked.protocol,
            port_range_min: checked.portRangeMin,
            port_range_max: checked.portRangeMax,
            remote_ip_prefix: checked.remoteIpPrefix,
            remote_group_id: checked.remoteGroupId,
            remote_address_group_id: checked.remoteAddressGroupId,
            is_used_in_default_group: input.usedInDefaultSg ?? false,
            is_used_in_other_groups: input.usedInNonDefaultSg ?? true,
          })
          .onConflict((oc) => oc.doNothing())
          .returning("id")
          .executeTakeFirst()
        // Used in one kind of group twice, it would be there twice.
        if (!row || (await hasTwin(tx, row.id))) throw defaultRuleExists()
        const rule = await findRow<DefaultSecurityGroupRule>(tx, source, row.id)
        if (rule) made.push(rule)
      }
      return made
    }),
})

async function hasTwin(tx: Tx, id: string): Promise<boolean> {
  const { rows } = await sql`select from network.default_security_group_rule a
    join network.default_security_group_rule b on a.id <> b.id
      and (a.direction, a.ethertype, a.protocol, a.port_range_min, a.port_range_max, a.remote_ip_prefix,
        a.remote_group_id, a.remote_address_group_id)
      is not distinct from (b.direction, b.ethertype, b.protocol, b.port_range_min, b.port_range_max,
        b.remote_ip_prefix, b.remote_group_id, b.remote_address_group_id)
      and ((a.is_used_in_default_group and b.is_used_in_default_group)
        or (a.is_used_in_other_groups and b.is_used_in_other_groups))
    where a.id = ${id} limit 1`.execute(tx)
  return rows.length > 0
}

export const deleteDefaultSecurityGroupRule = operation({
  name: "network.default_security_group_rule.delete",
  input: Type.Object({ ruleId: Type.String() }),
  faults: [defaultRuleNotFound],
  rule: "delete_default_security_group_rule",
  run: async (ctx, { ruleId }) => {
    if (!isUuid(ruleId)) throw defaultRuleNotFound(ruleId)
    const { numAffectedRows } = await sql`delete from network.default_security_group_rule
      where id = ${ruleId}`.execute(ctx.db)
    if (numAffectedRows !== 1n) throw defaultRuleNotFound(ruleId)
  },
})
