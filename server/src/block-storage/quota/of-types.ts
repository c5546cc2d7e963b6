// Limits of each volume type beside those of all volumes: Cinder's `volumes_<type>`. Rows of limits have the type's id in
// place of its name: a type that is renamed keeps its limits, and a new one of an old name has none.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import { listThings } from "../../platform/noun/list.ts"
import {
  countOf,
  enforceQuota,
  enforceQuotaOfMade,
  type Quota,
  type QuotaResource,
  type QuotaShortage,
  quotaExceeded,
  sumOf,
  widenQuota,
} from "../../quota/index.ts"
import type { Viewer } from "../viewer.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"
import { blockStorageQuota, type QuotaResource as OfAll } from "./resources.ts"

/** What there is a limit for, of each type. */
export const kindsOfTypes = ["volumes", "gigabytes", "snapshots"] as const
type Kind = (typeof kindsOfTypes)[number]
type OfType = `${Kind}_${string}`

const resourceOf = (kind: Kind, typeId: string): OfType => `${kind}_${typeId}`

/** Names of the rows of limits of a type. */
export const resourcesOfType = (typeId: string): OfType[] =>
  kindsOfTypes.map((kind) => resourceOf(kind, typeId))

/**
 * With the limits of these types. A snapshot is of the type that its volume has now; a volume on its way to another
 * type has no snapshots, and is of both.
 */
export function quotaWith(typeIds: readonly string[]): Quota<OfAll | OfType> {
  const more = typeIds.flatMap((id) => {
    const snapshots = sql`select s.project_id, s.size_gib from block_storage.snapshot s
      join block_storage.volume v on v.id = s.volume_id where v.volume_type_id = ${id}`
    const isOfIt = sql`(volume_type_id = ${id} or target_type_id = ${id})`
    const data = sql`(select project_id, size_gib from block_storage.volume where ${isOfIt}
      union all ${snapshots}) data`
    const volumes = { table: sql`block_storage.volume`, where: isOfIt }
    const uses = {
      volumes: countOf(volumes),
      gigabytes: sumOf({ table: data }, sql`size_gib`),
      snapshots: countOf({ table: sql`(${snapshots}) of_type` }),
    }
    return kindsOfTypes.map((kind): [OfType, QuotaResource] => [
      resourceOf(kind, id),
      { default: () => -1, use: uses[kind] },
    ])
  })
  // The entries have these keys.
  return widenQuota(blockStorageQuota, Object.fromEntries(more) as Record<OfType, QuotaResource>)
}

export interface TypeAsk {
  projectId: string
  /** Null: of none. */
  typeId: string | null
  add: Partial<Record<Kind, number>>
  /** They are not new, and only of this type since now: a retype. */
  isOfTypeOnly?: boolean
}

export interface TypesAsk {
  projectId: string
  add: Partial<Record<OfAll, number>>
  /** Which of them are of which type. */
  ofTypes: readonly { typeId: string | null; add: Partial<Record<Kind, number>> }[]
}

/** Room for what is to be made: among all of the project, and among its own of that type. Throws `quotaExceeded`. */
export async function enforceTypeQuota(ctx: Ctx, tx: Tx, ask: TypeAsk): Promise<void> {
  await enforce(ctx, tx, asTypes(ask), enforceQuota)
}

/** The same for what the transaction has made already. */
export async function enforceTypeQuotaOfMade(ctx: Ctx, tx: Tx, ask: TypeAsk): Promise<void> {
  await enforce(ctx, tx, asTypes(ask), enforceQuotaOfMade)
}

/** As `enforceTypeQuota`, for things of several types. */
export async function enforceTypesQuota(ctx: Ctx, tx: Tx, ask: TypesAsk): Promise<void> {
  await enforce(ctx, tx, ask, enforceQuota)
}

const asTypes = ({ projectId, typeId, add, isOfTypeOnly }: TypeAsk): TypesAsk => ({
  projectId,
  add: isOfTypeOnly ? {} : add,
  ofTypes: [{ typeId, add }],
})

async function enforce(
  ctx: Ctx,
  tx: Tx,
  { projectId, add, ofTypes }: TypesAsk,
  look: typeof enforceQuota,
): Promise<void> {
  const wanted: Partial<Record<OfAll | OfType, number>> = { ...add }
  const typeIds = new Set<string>()
  for (const { typeId, add: ofType } of ofTypes) {
    if (typeId === null) continue
    typeIds.add(typeId)
    for (const kind of kindsOfTypes) {
      const resource = resourceOf(kind, typeId)
      if (ofType[kind] !== undefined) wanted[resource] = (wanted[resource] ?? 0) + ofType[kind]
    }
  }
  try {
    await look(ctx, tx, quotaWith([...typeIds]), { projectId, add: wanted })
  } catch (error) {
    throw quotaExceeded.is(error) && typeIds.size > 0 ? await named(tx, [...typeIds], error.detail) : error
  }
}

/** Users know types by their names. */
async function named(
  tx: Tx,
  typeIds: readonly string[],
  detail: Readonly<Record<string, unknown>> | undefined,
): Promise<Fault> {
  const types = await tx
    .selectFrom("block_storage.volume_type")
    .select(["id", "name"])
    .where("id", "in", typeIds)
    .execute()
  // Of `quotaExceeded` alone.
  const shortages = (detail?.shortages ?? []) as QuotaShortage[]
  const withName = (resource: string) =>
    types.reduce((text, { id, name }) => text.replace(id, () => name), resource)
  return quotaExceeded(shortages.map((each) => ({ ...each, resource: withName(each.resource) })))
}

/** By Cinder's names: `volumes_<name of the type>` → the name in the rows of limits. */
export async function readTypeNames(db: DbOrTx, viewer: Viewer): Promise<Map<string, OfType>> {
  const types = await listThings(db, volumeTypeNoun, viewer)
  return new Map(
    types.flatMap(({ id, name }) =>
      kindsOfTypes.map((kind) => [`${kind}_${name}`, resourceOf(kind, id)] as const),
    ),
  )
}

/** What a project has of each type, in one statement however many types there are. */
export async function readTypeUse(db: DbOrTx, projectId: string): Promise<Map<string, number>> {
  const { rows } = await sql<{ id: string } & Record<Kind, number>>`
    select id, sum(volumes)::int as volumes, sum(size_gib)::bigint as gigabytes, sum(snapshots)::int as snapshots
    from (select volume_type_id as id, 1 as volumes, size_gib, 0 as snapshots from block_storage.volume
        where project_id = ${projectId}
      union all select target_type_id, 1, size_gib, 0 from block_storage.volume
        where project_id = ${projectId} and target_type_id is not null
      union all select v.volume_type_id, 0, s.size_gib, 1 from block_storage.snapshot s
        join block_storage.volume v on v.id = s.volume_id where s.project_id = ${projectId}) used
    where id is not null group by id`.execute(db)
  return new Map(rows.flatMap((row) => kindsOfTypes.map((kind) => [resourceOf(kind, row.id), row[kind]])))
}
