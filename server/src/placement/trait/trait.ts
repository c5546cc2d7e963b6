import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type DbOrTx, transact } from "../../platform/db/database.ts"
import { filterOnly, text, time } from "../../platform/noun/field.ts"
import { listThings, loadThing } from "../../platform/noun/list.ts"
import { noun, visibleToAll } from "../../platform/noun/noun.ts"
import { operation } from "../../platform/operation/operation.ts"
import {
  generationConflict,
  providerNotFound,
  traitInUse,
  traitNotFound,
  traitStandard,
  traitUnknown,
} from "../faults.ts"
import type { Provider } from "../provider/provider.ts"
import { loadProvider, lockProviderAt, raiseGeneration } from "../provider/store.ts"
import { standardTraits } from "./standard.ts"

/** Throws for names that are no trait. */
export async function checkTraits(db: DbOrTx, names: Iterable<string>): Promise<void> {
  const custom = [...new Set(names)].filter((name) => !standardTraits.has(name))
  if (custom.length === 0) return
  const rows = await db
    .selectFrom("placement.custom_trait")
    .select("name")
    .where("name", "in", custom)
    .execute()
  const known = new Set(rows.map((row) => row.name))
  const unknown = custom.filter((name) => !known.has(name))
  if (unknown.length > 0) throw traitUnknown(unknown.sort().join(", "))
}

export const traitNoun = noun({
  name: "placement.trait",
  table: sql`placement.custom_trait`,
  alias: "custom_trait",
  fields: {
    name: text(sql`custom_trait.name`, { create: "required", filter: true }),
    createdAt: time(sql`custom_trait.created_at`, { internal: true }),
    prefix: filterOnly(([prefix = ""]) => sql<boolean>`custom_trait.name ^@ ${prefix}`),
    /** Whether a provider has it. */
    isAssociated: filterOnly(([word]) => {
      const isHad = sql<boolean>`exists (
        select from placement.provider_trait t where t.trait = custom_trait.name)`
      return word === "true" ? isHad : sql<boolean>`not ${isHad}`
    }),
  },
  key: "name",
  order: [{ key: "name", direction: "asc" }],
  visible: () => visibleToAll,
  notFound: traitNotFound,
})

/** The standard ones, which the program knows, then those that people made. */
export const listTraits = operation({
  name: "placement.trait.list",
  input: Type.Object({
    names: Type.Union([Type.Array(Type.String()), Type.Null()]),
    prefix: Type.Union([Type.String(), Type.Null()]),
    /** Whether a provider has it. */
    isAssociated: Type.Union([Type.Boolean(), Type.Null()]),
  }),
  rule: "placement:traits:list",
  run: async (ctx, { names, prefix, isAssociated }): Promise<string[]> => {
    const filters = {
      ...(names && { name: names }),
      ...(prefix !== null && { prefix: [prefix] }),
      ...(isAssociated !== null && { isAssociated: [String(isAssociated)] }),
    }
    const custom = await listThings(ctx.db, traitNoun, undefined, { filters })
    let standard = [...standardTraits]
    if (names) standard = standard.filter((name) => names.includes(name))
    if (prefix !== null) standard = standard.filter((name) => name.startsWith(prefix))
    if (isAssociated !== null) {
      const associated = await associatedOf(ctx.db, standard)
      standard = standard.filter((name) => associated.has(name) === isAssociated)
    }
    return [...standard, ...custom.map(({ name }) => name)]
  },
})

/** Those of them that a provider has. */
async function associatedOf(db: DbOrTx, names: readonly string[]): Promise<Set<string>> {
  const { rows } = await sql<{ name: string }>`select name from unnest(${[...names]}::text[]) name
    where exists (select from placement.provider_trait t where t.trait = name)`.execute(db)
  return new Set(rows.map((row) => row.name))
}

const Name = Type.Object({ name: Type.String() })

export const getTrait = operation({
  name: "placement.trait.get",
  input: Name,
  faults: [traitNotFound],
  rule: "placement:traits:show",
  run: async (ctx, { name }): Promise<void> => {
    if (!standardTraits.has(name)) await loadThing(ctx.db, traitNoun, undefined, name)
  },
})

export const ensureTrait = operation({
  name: "placement.trait.ensure",
  input: Name,
  rule: "placement:traits:update",
  run: async (ctx, { name }): Promise<{ isNew: boolean }> => {
    const done = await ctx.db
      .insertInto("placement.custom_trait")
      .values({ name })
      .onConflict((oc) => oc.doNothing())
      .executeTakeFirst()
    return { isNew: (done.numInsertedOrUpdatedRows ?? 0n) > 0n }
  },
})

export const deleteTrait = operation({
  name: "placement.trait.delete",
  input: Name,
  faults: [traitNotFound, traitStandard, traitInUse],
  rule: "placement:traits:delete",
  run: async (ctx, { name }): Promise<void> => {
    if (standardTraits.has(name)) throw traitStandard(name)
    await transact(ctx.db, async (tx) => {
      const gone = await tx.deleteFrom("placement.custom_trait").where("name", "=", name).executeTakeFirst()
      if (gone.numDeletedRows === 0n) throw traitNotFound(name)
      const used = await tx
        .selectFrom("placement.provider_trait")
        .select("provider_id")
        .where("trait", "=", name)
        .executeTakeFirst()
      if (used) throw traitInUse(name)
    })
  },
})

export interface ProviderTraits {
  provider: Provider
  traits: string[]
}

async function readTraits(db: DbOrTx, providerId: string): Promise<string[]> {
  const rows = await db
    .selectFrom("placement.provider_trait")
    .select("trait")
    .where("provider_id", "=", providerId)
    .orderBy("trait")
    .execute()
  return rows.map((row) => row.trait)
}

export const listProviderTraits = operation({
  name: "placement.provider_trait.list",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:traits:list",
  run: async (ctx, { providerId }): Promise<ProviderTraits> => {
    const provider = await loadProvider(ctx.db, providerId)
    return { provider, traits: await readTraits(ctx.db, provider.id) }
  },
})

export const setProviderTraits = operation({
  name: "placement.provider_trait.set",
  input: Type.Object({
    providerId: Type.String(),
    generation: Type.Integer(),
    traits: Type.Array(Type.String()),
  }),
  faults: [providerNotFound, generationConflict, traitUnknown],
  rule: "placement:resource_providers:traits:update",
  run: async (ctx, { providerId, generation, traits }): Promise<ProviderTraits> =>
    await writeTraits(ctx, providerId, generation, traits),
})

/** Whatever its generation is. */
export const clearProviderTraits = operation({
  name: "placement.provider_trait.clear",
  input: Type.Object({ providerId: Type.String() }),
  faults: [providerNotFound],
  rule: "placement:resource_providers:traits:delete",
  run: async (ctx, { providerId }) => {
    await writeTraits(ctx, providerId, null, [])
  },
})

async function writeTraits(
  ctx: Ctx,
  providerId: string,
  generation: number | null,
  traits: readonly string[],
): Promise<ProviderTraits> {
  return await transact(ctx.db, async (tx) => {
    const before = await lockProviderAt(tx, providerId, generation)
    await checkTraits(tx, traits)
    const wanted: RawBuilder<unknown> = sql`${[...new Set(traits)]}::text[]`
    const gone = await sql`
      delete from placement.provider_trait where provider_id = ${before.id} and trait <> all(${wanted})`.execute(
      tx,
    )
    const added = await sql`
      insert into placement.provider_trait (provider_id, trait) select ${before.id}::uuid, unnest(${wanted})
      on conflict do nothing`.execute(tx)
    const isChanged = (gone.numAffectedRows ?? 0n) + (added.numAffectedRows ?? 0n) > 0n
    const provider = isChanged ? await raiseGeneration(tx, before.id) : before
    return { provider, traits: await readTraits(tx, before.id) }
  })
}
