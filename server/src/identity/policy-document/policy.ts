// Policy documents that services once fetched from here: kept and handed out, not interpreted.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb } from "../../platform/db/database.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Extra, Id } from "../shapes.ts"
import type { PolicyTable } from "../tables.ts"

export type PolicyRow = Selectable<PolicyTable>

const policyList: ListSpec = { table: sql`identity.policy`, columns: { type: sql`type` } }

const Kind = Type.String({ minLength: 1, maxLength: 255 })

export async function findPolicy(db: DbOrTx, id: string): Promise<PolicyRow | null> {
  const row = await db.selectFrom("identity.policy").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

export const createPolicy = operation({
  name: "identity.policy.create",
  input: Type.Object({ type: Kind, blob: Type.String(), extra: Type.Optional(Extra) }),
  rule: "identity:create_policy",
  run: async (ctx, input): Promise<PolicyRow> =>
    await changeIdentity(ctx, async (tx) => {
      const row = await tx
        .insertInto("identity.policy")
        .values({ id: newHexId(), type: input.type, blob: input.blob, extra: jsonb(input.extra ?? {}) })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "policy", "created", row.id)
      return row
    }),
})

export const getPolicy = operation({
  name: "identity.policy.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findPolicy(ctx.db, id),
  rule: "identity:get_policy",
  run: async (_ctx, { id }, row) => found(row, "policy", id),
})

export const listPolicies = operation({
  name: "identity.policy.list",
  input: ListInput,
  rule: "identity:list_policies",
  run: async (ctx, input): Promise<Rows<PolicyRow>> => await listRows(ctx, policyList, input),
})

export const updatePolicy = operation({
  name: "identity.policy.update",
  input: Type.Object({
    id: Type.String(),
    type: Type.Optional(Kind),
    blob: Type.Optional(Type.String()),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findPolicy(ctx.db, id),
  rule: "identity:update_policy",
  run: async (ctx, input, row): Promise<PolicyRow> => {
    found(row, "policy", input.id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await tx
        .updateTable("identity.policy")
        .set({
          id: input.id,
          ...(input.type === undefined ? {} : { type: input.type }),
          ...(input.blob === undefined ? {} : { blob: input.blob }),
          ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "policy", "updated", input.id)
      return found(after, "policy", input.id)
    })
  },
})

export const deletePolicy = operation({
  name: "identity.policy.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findPolicy(ctx.db, id),
  rule: "identity:delete_policy",
  run: async (ctx, { id }, row) => {
    found(row, "policy", id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.policy").where("id", "=", id).execute()
      await announce(ctx, tx, "policy", "deleted", id)
    })
  },
})
