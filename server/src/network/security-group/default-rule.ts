// What new security groups begin with; an administrator's matter.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { boolean, cidr, integer, nullable, text, time, uuid, word } from "../../platform/noun/field.ts"
import { findThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf, ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { badRule, defaultRuleExists, defaultRuleNotFound, securityGroupNotFound } from "../faults.ts"
import { change } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { checkRule } from "./rule-check.ts"

const listed = { filter: true, sort: true } as const
const given = { create: true, ...listed } as const

export const defaultRuleNoun = noun({
  name: "network.default_security_group_rule",
  table: sql`network.default_security_group_rule`,
  alias: "d",
  fields: {
    id: uuid(sql`d.id`, listed),
    description: text(sql`d.description`, given),
    direction: word(["ingress", "egress"], sql`d.direction`, { create: "required", ...listed }),
    ethertype: word(["IPv4", "IPv6"], sql`d.ethertype`, given),
    protocol: nullable(text(sql`d.protocol`, given)),
    portRangeMin: nullable(integer(sql`d.port_range_min`, given)),
    portRangeMax: nullable(integer(sql`d.port_range_max`, given)),
    remoteIpPrefix: nullable(cidr(sql`d.remote_ip_prefix`, given)),
    /** A group's id, or PARENT for the group that the rule comes into. */
    remoteGroupId: nullable(text(sql`d.remote_group_id`, given)),
    remoteAddressGroupId: nullable(uuid(sql`d.remote_address_group_id`, given)),
    usedInDefaultSg: boolean(sql`d.is_used_in_default_group`, { create: true, filter: true }),
    usedInNonDefaultSg: boolean(sql`d.is_used_in_other_groups`, { create: true, filter: true }),
    createdAt: time(sql`d.created_at`, { internal: true }),
  },
  visible: (_viewer: Viewer) => visibleToAll,
  notFound: defaultRuleNotFound,
})

export type DefaultSecurityGroupRule = Thing<typeof defaultRuleNoun>

const asked = { viewer: viewerOf, rule: "get_default_security_group_rule", target: () => ({}) }

export const getDefaultSecurityGroupRule = getOf(defaultRuleNoun, asked)
export const listDefaultSecurityGroupRules = listOf(defaultRuleNoun, asked)

export const createDefaultSecurityGroupRules = operation({
  name: "network.default_security_group_rule.create",
  input: Type.Object({ items: Type.Array(defaultRuleNoun.create) }),
  faults: [badRule, defaultRuleExists, securityGroupNotFound],
  rule: "create_default_security_group_rule",
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: DefaultSecurityGroupRule[] = []
      for (const input of items) {
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
        const rule = await findThing(tx, defaultRuleNoun, everything, row.id)
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
  input: ThingInput,
  faults: [defaultRuleNotFound],
  rule: "delete_default_security_group_rule",
  run: async (ctx, { id: ruleId }) => {
    if (!isUuid(ruleId)) throw defaultRuleNotFound(ruleId)
    const { numAffectedRows } = await sql`delete from network.default_security_group_rule
      where id = ${ruleId}`.execute(ctx.db)
    if (numAffectedRows !== 1n) throw defaultRuleNotFound(ruleId)
  },
})
