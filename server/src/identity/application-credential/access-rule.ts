// What application credentials may be limited to; equal rules of a user are one.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { nullable, text } from "../../platform/noun/field.ts"
import { ListQuery } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeOrConflict } from "../change.ts"
import { refuseTrustToken } from "../delegation.ts"
import { forbidden, found, missingOf, notFound } from "../faults.ts"
import { find, idField, listRows, sorts } from "../read.ts"

export const accessRuleNoun = noun({
  name: "identity.access_rule",
  table: sql`identity.access_rule`,
  alias: "a",
  fields: {
    id: idField("a"),
    userId: text(sql`a.user_id`, { internal: true }),
    service: nullable(text(sql`a.service`, { filter: true })),
    path: nullable(text(sql`a.path`, { filter: true })),
    method: nullable(text(sql`a.method`, { filter: true })),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("access rule"),
})

export type AccessRule = Thing<typeof accessRuleNoun>

const one = Type.Object({ userId: Type.String(), id: Type.String() })

async function loadRule(
  ctx: Ctx,
  { userId, id }: { userId: string; id: string },
): Promise<AccessRule | null> {
  const rule = await find(ctx.db, accessRuleNoun, id)
  return rule?.userId === userId ? rule : null
}

function target(userId: string) {
  return { target: { user: { id: userId } } }
}

export const listAccessRules = operation({
  name: "identity.access_rule.list",
  input: Type.Object({ userId: Type.String(), query: ListQuery }),
  rule: "identity:list_access_rules",
  target: (_ctx, { userId }) => target(userId),
  run: async (ctx, { userId, query }): Promise<Listed<AccessRule>> => {
    refuseTrustToken(ctx.caller)
    return await listRows(ctx, accessRuleNoun, query, sql`a.user_id = ${userId}`)
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
