import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeOrConflict } from "../change.ts"
import { refuseTrustToken } from "../delegation.ts"
import { forbidden, found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows } from "../list.ts"
import type { Rows } from "../read.ts"
import type { AccessRuleTable } from "../tables.ts"

export type AccessRuleRow = Selectable<AccessRuleTable>

const ruleList: ListSpec = {
  table: sql`identity.access_rule`,
  columns: { service: sql`service`, path: sql`path`, method: sql`method` },
}

const one = Type.Object({ userId: Type.String(), id: Type.String() })

async function loadRule(
  ctx: Ctx,
  { userId, id }: { userId: string; id: string },
): Promise<AccessRuleRow | null> {
  const row = await ctx.db
    .selectFrom("identity.access_rule")
    .selectAll()
    .where("id", "=", id)
    .where("user_id", "=", userId)
    .executeTakeFirst()
  return row ?? null
}

function target(userId: string) {
  return { target: { user: { id: userId } } }
}

export const listAccessRules = operation({
  name: "identity.access_rule.list",
  input: Type.Object({ userId: Type.String(), ...ListInput.properties }),
  rule: "identity:list_access_rules",
  target: (_ctx, { userId }) => target(userId),
  run: async (ctx, { userId, ...list }): Promise<Rows<AccessRuleRow>> => {
    refuseTrustToken(ctx.caller)
    return await listRows(ctx, ruleList, list, sql`user_id = ${userId}`)
  },
})

export const getAccessRule = operation({
  name: "identity.access_rule.get",
  input: one,
  faults: [notFound],
  load: loadRule,
  rule: "identity:get_access_rule",
  target: (_ctx, { userId }) => target(userId),
  run: async (ctx, { id }, row) => {
    refuseTrustToken(ctx.caller)
    return found(row, "access rule", id)
  },
})

export const deleteAccessRule = operation({
  name: "identity.access_rule.delete",
  input: one,
  faults: [notFound, forbidden],
  load: loadRule,
  rule: "identity:delete_access_rule",
  target: (_ctx, { userId }) => target(userId),
  run: async (ctx, { id }, row) => {
    refuseTrustToken(ctx.caller)
    found(row, "access rule", id)
    await changeOrConflict(
      ctx,
      () => forbidden(`Access rule ${id} is in use by an application credential and cannot be deleted.`),
      async (tx) => {
        await tx.deleteFrom("identity.access_rule").where("id", "=", id).execute()
        await announce(ctx, tx, "access_rule", "deleted", id)
      },
    )
  },
})
