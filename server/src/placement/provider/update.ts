import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { providerNameTaken, providerNotFound, providerTreeInvalid } from "../faults.ts"
import type { Provider } from "./provider.ts"
import { findProvider, lockProvider, providerFields } from "./store.ts"

export const updateProvider = operation({
  name: "placement.provider.update",
  input: Type.Object({
    providerId: Type.String(),
    name: Type.Optional(Type.String()),
    parentId: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    /** Whether one that has a parent may get another or none. */
    mayMove: Type.Boolean(),
  }),
  faults: [providerNotFound, providerNameTaken, providerTreeInvalid],
  rule: "placement:resource_providers:update",
  run: async (ctx, input): Promise<Provider> =>
    await transact(ctx.db, async (tx) => {
      const before = await lockProvider(tx, input.providerId)
      const isMoved = input.parentId !== undefined && input.parentId !== before.parentId
      if (isMoved) await move(tx, before, input.parentId ?? null, input.mayMove)
      const name = input.name ?? before.name
      try {
        return await tx
          .updateTable("placement.resource_provider")
          .set({ name, updated_at: sql`now()` })
          .where("id", "=", before.id)
          .returning(providerFields)
          .$castTo<Provider>()
          .executeTakeFirstOrThrow()
      } catch (error) {
        if (violatedConstraint(error) === "resource_provider_name_key") throw providerNameTaken(name)
        throw error
      }
    }),
})

async function move(tx: Tx, before: Provider, parentId: string | null, mayMove: boolean): Promise<void> {
  const fail = (why: string) => providerTreeInvalid(before.id, why)
  if (before.parentId !== null && !mayMove) {
    throw fail(
      parentId === null
        ? "un-parenting a provider is not currently allowed."
        : "re-parenting a provider is not currently allowed.",
    )
  }
  // One tree changes at a time, so that two moves cannot make a loop together.
  await sql`select pg_advisory_xact_lock(hashtextextended('placement:tree', 0))`.execute(tx)
  const subtree = await sql<{ id: string }>`
    with recursive sub as (
      select id from placement.resource_provider where id = ${before.id}
      union all
      select p.id from placement.resource_provider p join sub on p.parent_id = sub.id
    ) select id from sub`.execute(tx)
  const ids = subtree.rows.map((row) => row.id)
  const parent = parentId === null ? null : await findProvider(tx, parentId)
  if (parentId !== null && !parent) throw fail("parent provider UUID does not exist.")
  if (parent && ids.includes(parent.id)) throw fail("creating loop in the provider tree is not allowed.")
  await tx
    .updateTable("placement.resource_provider")
    .set({ parent_id: parent?.id ?? null })
    .where("id", "=", before.id)
    .execute()
  await tx
    .updateTable("placement.resource_provider")
    .set({ root_id: parent?.rootId ?? before.id })
    .where("id", "in", ids)
    .execute()
}
