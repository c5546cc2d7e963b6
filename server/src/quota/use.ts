// What is used: the service's own SQL, with the limits in the same statement.
import { type RawBuilder, sql } from "kysely"
import type { CountedRows, Quota, QuotaCounter } from "../engine/quota.ts"
import type { DbOrTx } from "../platform/db/database.ts"
import {
  type Configured,
  type LimitRow,
  type Limits,
  limitRows,
  type QuotaOwner,
  resourcesOf,
  toLimits,
} from "./limits.ts"

export interface QuotaDetail<R extends string> {
  limits: Limits<R>
  /** 0 where nothing is counted for a project. */
  used: Limits<R>
}

/** Limits and use of a project, or of one user in it; default: of everything that is declared. A first look: no lock. */
export async function readQuota<R extends string, S extends R = R>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  owner: QuotaOwner,
  resources: readonly S[] = resourcesOf(quota) as readonly S[],
): Promise<QuotaDetail<S>> {
  const counted = resources.filter((resource) => quota.resources[resource].use?.rows.within === undefined)
  const wanted = { resources: counted, userId: owner.userId ?? null }
  const { rows, used } = await measure(ctx, db, quota, owner, resources, [wanted])
  const inUnits = resources.map((resource) => {
    const unit = quota.resources[resource].use?.unit ?? 1
    return [resource, Math.floor((used[0]?.[resource] ?? 0) / unit)]
  })
  // One for each resource.
  return { limits: toLimits(rows), used: Object.fromEntries(inUnits) as Limits<S> }
}

export interface Counting<R extends string> {
  resources: readonly R[]
  /** Of this user in the project; null: of the project. */
  userId: string | null
  /** Of which user, group …, for what is counted within one. */
  within?: Partial<Record<R, string>>
  /** Counting may end at the limit and so many more. */
  beyond?: Partial<Record<R, number>>
}

/** As counted: divide by the unit. */
export type Used<R extends string> = Partial<Record<R, number>>

/** Limits of some resources and the use of what each counting names, in one statement. */
export async function measure<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  owner: QuotaOwner,
  resources: readonly R[],
  countings: readonly Counting<R>[],
): Promise<{ rows: LimitRow[]; used: Used<R>[] }> {
  const groups = countings.map((counting) => [...groupsOf(quota, counting)])
  const counts = groups
    .flat()
    .map((group) => sql`, (select row_to_json(u) from (${countSql(owner, group)}) u)`)
  const { rows } = await sql<{ found: [LimitRow[], ...Used<R>[]] }>`
    with l as (${limitRows(ctx, quota, owner, resources)})
    select json_build_array((select json_agg(l) from l)${sql.join(counts, sql``)}) as found`.execute(db)
  const [limits = [], ...counted] = rows[0]?.found ?? []
  const used = groups.map((own): Used<R> => Object.assign({}, ...counted.splice(0, own.length)))
  return { rows: limits, used }
}

/** Resources that are counted over the same rows. */
interface Group<R extends string> extends Counting<R> {
  rows: CountedRows
  counters: readonly [R, QuotaCounter][]
}

function* groupsOf<R extends string>(quota: Quota<R>, counting: Counting<R>): Generator<Group<R>> {
  const counters = counting.resources.flatMap((resource): [R, QuotaCounter][] => {
    const { use } = quota.resources[resource]
    return use ? [[resource, use]] : []
  })
  for (const [rows, own] of Map.groupBy(counters, ([, { rows }]) => rows))
    yield { ...counting, rows, counters: own }
}

function countSql<R extends string>(owner: QuotaOwner, group: Group<R>): RawBuilder<unknown> {
  const { rows, counters, userId } = group
  const columns = counters.map(([resource, { aggregate }]) => sql`${aggregate} as ${sql.id(resource)}`)
  const [first] = counters
  const filter = rows.where ? sql` and ${rows.where}` : sql``
  const from = sql`${rows.table} where ${belongsTo(owner, group, first?.[0])}${filter}`
  const beyond = first && counters.length === 1 && first[1].isRowCount ? group.beyond?.[first[0]] : undefined
  if (!first || beyond === undefined) return sql`select ${sql.join(columns)} from ${from}`
  // A project that has far more than its limit is not to pay for each of them at each creation.
  const limit = sql.id(userId === null ? "value" : "own")
  return sql`select ${sql.join(columns)} from (select from ${from}
    limit (select greatest(${limit}, 0) + ${beyond}::bigint from l where resource = ${first[0]})) few`
}

function belongsTo<R extends string>(
  { projectId }: QuotaOwner,
  { rows, userId, within }: Group<R>,
  resource: R | undefined,
): RawBuilder<unknown> {
  if (rows.within !== undefined) {
    const key = resource === undefined ? undefined : within?.[resource]
    if (key === undefined)
      throw new Error(`quota: ${resource} is counted within ${rows.within}: say of which`)
    return sql`${sql.id(rows.within)} = ${key}`
  }
  if (userId === null) return sql`project_id = ${projectId}`
  if (rows.userColumn === undefined) throw new Error(`quota: ${resource} is not counted for users`)
  return sql`project_id = ${projectId} and ${sql.id(rows.userColumn)} = ${userId}`
}
