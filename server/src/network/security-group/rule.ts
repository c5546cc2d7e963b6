// Rules of security groups: create, get, list, delete. A rule is never updated.

import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { canonicalAddress } from "../../platform/net/address.ts"
import { insertThing, loadThing } from "../../platform/noun/list.ts"
import { getOf, listOf, ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import {
  addressGroupNotFound,
  badRequest,
  badRule,
  forbiddenProject,
  ruleExists,
  securityGroupNotFound,
  securityGroupRuleNotFound,
} from "../faults.ts"
import { networkQuota } from "../quota.ts"
import { notify } from "../resource/notify.ts"
import { bumpRevision, change, ownerOf } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { noteChanged } from "../sync/changes.ts"
import { prepareDefaultGroup } from "./default-group.ts"
import { loadSecurityGroup } from "./group.ts"
import { checkRule, type RuleRequest, spellingsOf } from "./rule-check.ts"
import {
  ruleTarget,
  type SecurityGroup,
  type SecurityGroupRule,
  type SecurityGroupRuleInput,
  securityGroupRuleNoun,
} from "./security-group.ts"

export async function loadRule(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<SecurityGroupRule> {
  return await loadThing(db, securityGroupRuleNoun, viewer, id)
}

const asked = {
  viewer: viewerOf,
  rule: "get_security_group_rule",
  target: ruleTarget,
  before: (ctx: Ctx) => prepareDefaultGroup(ctx, ctx.caller.projectId),
}

export const getSecurityGroupRule = getOf(securityGroupRuleNoun, asked)
export const listSecurityGroupRules = listOf(securityGroupRuleNoun, asked)

export const createSecurityGroupRules = operation({
  name: "network.security_group_rule.create",
  input: Type.Object({ items: Type.Array(securityGroupRuleNoun.create) }),
  faults: [badRule, ruleExists, securityGroupNotFound, addressGroupNotFound, badRequest, forbiddenProject],
  load: async (ctx, { items }) => {
    const groups: SecurityGroup[] = []
    for (const rule of items)
      groups.push(await loadSecurityGroup(ctx.db, rule.securityGroupId, viewerOf(ctx)))
    return groups
  },
  rules: ["create_security_group_rule"],
  authorize: (ctx, { items }, groups) =>
    items.map((rule, i) => {
      const groupProjectId = groups[i]?.projectId ?? ""
      return [
        "create_security_group_rule",
        ruleTarget({ projectId: ownerOf(ctx, rule.projectId), groupProjectId }),
      ]
    }),
  run: async (ctx, { items }, groups) =>
    await change(ctx, async (tx) => {
      const made: SecurityGroupRule[] = []
      for (const [i, rule] of items.entries())
        made.push(await insertRule(ctx, tx, rule, groups[i]?.projectId ?? ""))
      await notify(ctx, tx, "security_group_rule", "create", made)
      const owners = groups.map((group) => group.projectId)
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { security_group_rule: 1 }))
      return made
    }),
})

/** The row; no quota and no policy: those are the caller's. */
async function insertRule(
  ctx: Ctx,
  tx: Tx,
  input: SecurityGroupRuleInput,
  projectId: string,
): Promise<SecurityGroupRule> {
  const checked = checkRule({
    direction: input.direction,
    ethertype: input.ethertype ?? "IPv4",
    protocol: input.protocol ?? null,
    portRangeMin: input.portRangeMin ?? null,
    portRangeMax: input.portRangeMax ?? null,
    remoteIpPrefix: input.remoteIpPrefix ?? null,
    remoteGroupId: input.remoteGroupId ?? null,
    remoteAddressGroupId: input.remoteAddressGroupId ?? null,
  })
  if (checked.remoteGroupId !== null) await loadSecurityGroup(tx, checked.remoteGroupId, viewerOf(ctx))
  if (checked.remoteAddressGroupId !== null)
    await checkAddressGroup(tx, checked.remoteAddressGroupId, projectId)
  const rule = await insertThing(tx, securityGroupRuleNoun, everything, {
    values: {
      id: newUuid(),
      security_group_id: input.securityGroupId,
      project_id: projectId,
      description: input.description ?? "",
      ...ruleRow(checked),
      remote_ip_given: givenPrefix(input.remoteIpPrefix, checked.remoteIpPrefix),
    },
    with: [
      sql`update network.security_group g set generation = g.generation + 1, updated_at = now()
        from made where g.id = made.security_group_id`,
    ],
  })
  // The group's row is held from here on, so no other rule can slip in behind the look.
  const same = await sameRule(tx, input.securityGroupId, checked, rule?.id)
  if (!rule || same !== undefined) throw ruleExists(same ?? "unknown")
  noteChanged(tx, { securityGroups: [input.securityGroupId] })
  return rule
}

/** Null when it is the prefix that counts. */
function givenPrefix(asked: string | null | undefined, kept: string | null): string | null {
  if (!asked || kept === null) return null
  const given = `${canonicalAddress(asked.split("/")[0] ?? "")}/${kept.split("/")[1]}`
  return given === kept ? null : given
}

function ruleRow(rule: RuleRequest) {
  return {
    direction: rule.direction,
    ethertype: rule.ethertype,
    protocol: rule.protocol,
    port_range_min: rule.portRangeMin,
    port_range_max: rule.portRangeMax,
    remote_ip_prefix: rule.remoteIpPrefix,
    remote_group_id: rule.remoteGroupId,
    remote_address_group_id: rule.remoteAddressGroupId,
  }
}

/**
 * A rule of the group that says the same, in whatever words: a protocol by name or number, no prefix or the one of all
 * addresses, no range or that of all ports.
 */
async function sameRule(
  tx: Tx,
  groupId: string,
  rule: RuleRequest,
  except: string | null = null,
): Promise<string | undefined> {
  const { protocol, portRangeMin, portRangeMax, remoteGroupId, remoteAddressGroupId } = rule
  const prefix = rule.remoteIpPrefix?.endsWith("/0") ? null : rule.remoteIpPrefix
  const sameProtocol =
    protocol === null ? sql`protocol is null` : sql`protocol = any(${[...spellingsOf(protocol)]}::text[])`
  const { rows } = await sql<{ id: string }>`select id from network.security_group_rule
    where security_group_id = ${groupId} and id is distinct from ${except}::uuid
      and direction = ${rule.direction} and ethertype = ${rule.ethertype} and ${sameProtocol}
      and nullif(remote_ip_prefix, set_masklen(remote_ip_prefix, 0)) is not distinct from ${prefix}::cidr
      and remote_group_id is not distinct from ${remoteGroupId}::uuid
      and remote_address_group_id is not distinct from ${remoteAddressGroupId}::uuid
      and case when port_range_min = 1 and port_range_max = 65535 then ${portRangeMin}::integer is null
        else port_range_min is not distinct from ${portRangeMin}::integer
          and port_range_max is not distinct from ${portRangeMax}::integer end
    limit 1`.execute(tx)
  return rows[0]?.id
}

async function checkAddressGroup(tx: Tx, id: string, projectId: string): Promise<void> {
  if (isUuid(id)) {
    const { rows } =
      await sql`select from network.address_group a where a.id = ${id} and (a.project_id = ${projectId}
      or exists (select from network.rbac_policy r where r.object_id = a.id and r.object_type = 'address_group'
        and r.target_project in ('*', ${projectId})))`.execute(tx)
    if (rows.length > 0) return
  }
  throw addressGroupNotFound(id)
}

export const deleteSecurityGroupRule = operation({
  name: "network.security_group_rule.delete",
  input: ThingInput,
  faults: [securityGroupRuleNotFound],
  load: (ctx, { id }) => loadRule(ctx.db, id, viewerOf(ctx)),
  rule: "delete_security_group_rule",
  target: (_ctx, _input, rule) => ruleTarget(rule),
  run: async (ctx, { id: ruleId }, rule) =>
    await change(ctx, async (tx) => {
      const { numAffectedRows } =
        await sql`delete from network.security_group_rule where id = ${ruleId}`.execute(tx)
      if (numAffectedRows !== 1n) throw securityGroupRuleNotFound(ruleId)
      await bumpRevision(tx, "securityGroup", [rule.securityGroupId])
      await notify(ctx, tx, "security_group_rule", "delete", [rule])
    }),
})
