import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  providerHasChildren,
  providerInUse,
  providerNameTaken,
  providerNotFound,
  providerTreeInvalid,
} from "../faults.ts"
import type { Provider } from "./provider.ts"
import { findProvider, getProvider, lockProvider, toProvider } from "./store.ts"

export const createProvider = operation({
  name: "placement.provider.create",
  input: Type.Object({
    id: Type.Optional(Type.String()),
    name: Type.String(),
    parentId: Type.Union([Type.String(), Type.Null()]),
  }),
  faults: [providerNameTaken, providerTreeInvalid],
  rule: "placement:resource_providers:create",
  run: async (ctx, input): Promise<Provider> => {
    const id = input.id ?? newUuid()
    return await transact(ctx.db, async (tx) => {
      const parent = await newParent(tx, id, input.parentId)
      try {
        const row = await tx
          .insertInto("placement.resource_provider")
          .values({ id, name: input.name, parent_id: parent?.id ?? null, root_id: parent?.rootId ?? id })
          .returningAll()
          .executeTakeFirstOrThrow()
        return toProvider(row)
      } catch (error) {
        const constraint = violatedConstraint(error)
        if (constraint === "resource_provider_pkey") throw providerNameTaken(`uuid: ${id}`)
        if (constraint === "resource_provider_name_key") throw providerNameTaken(`name: ${input.name}`)
        throw error
      }
    })
  },
})

async function newParent(tx: Tx, id: string, parentId: string | null): Promise<Provider | null> {
  if (parentId === null) return null
  if (parentId === id) {
    const why =
      "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent."
    throw providerTreeInvalid(id, why)
  }
  const parent = await findProvider(tx, parentId)
  if (!parent) throw providerTreeInvalid(id, "parent provider UUID does not exist.")
  // Held, so that it neither goes nor moves before this one hangs below it.
  return await lockProvider(tx, parent.id)
}

export const showProvider = operation({
  name: "placement.provider.show",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:show",
  run: async (ctx, { providerId }) => await getProvider(ctx.db, providerId),
})

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
        const row = await tx
          .updateTable("placement.resource_provider")
          .set({ name, updated_at: sql`now()` })
          .where("id", "=", before.id)
          .returningAll()
          .executeTakeFirstOrThrow()
        return toProvider(row)
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

export const deleteProvider = operation({
  name: "placement.provider.delete",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound, providerHasChildren, providerInUse],
  rule: "placement:resource_providers:delete",
  run: async (ctx, { providerId }): Promise<void> =>
    await transact(ctx.db, async (tx) => {
      const { id } = await lockProvider(tx, providerId)
      try {
        const child = await tx
          .selectFrom("placement.resource_provider")
          .select("id")
          .where("parent_id", "=", id)
          .executeTakeFirst()
        if (child) throw providerHasChildren(id)
        await tx.deleteFrom("placement.resource_provider").where("id", "=", id).execute()
      } catch (error) {
        const constraint = violatedConstraint(error)
        if (constraint?.startsWith("allocation_")) throw providerInUse(id)
        if (constraint === "resource_provider_parent_id_fkey") throw providerHasChildren(id)
        throw error
      }
    }),
})
