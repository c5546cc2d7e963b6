// What is used: the service's own SQL, put together into one statement.
import { type RawBuilder, sql } from "kysely"
import type { CountedRows, Quota, QuotaCounter } from "../engine/quota.ts"
import type { DbOrTx } from "../platform/db/database.ts"
import {
  type Configured,
  getLimits,
  type Limits,
  limitColumns,
  type QuotaOwner,
  readLimitColumns,
  resourcesOf,
} from "./limits.ts"

export interface QuotaDetail<R extends string> {
  limits: Limits<R>
  /** 0 where nothing is counted for a project. */
  used: Limits<R>
}

/** Limits and use of a project, or of one user in it: a first look, without a lock. */
export async function readQuota<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  owner: QuotaOwner,
): Promise<QuotaDetail<R>> {
  const resources = resourcesOf(quota)
  const counted = resources.filter((resource) => {
    const { use } = quota.resources[resource]
    return use && use.rows.within === undefined
  })
  const groups = groupsOf(quota, owner, { side: "project", resources: counted, userId: owner.userId ?? null })
  const limits = await getLimits(ctx, db, quota, owner)
  const { rows } = await sql<Counts>`select * from ${sql.join(groups.map(countSql))}`.execute(db)
  const used = resources.map((resource) => {
    const unit = quota.resources[resource].use?.unit ?? 1
    return [resource, Math.floor((rows[0]?.[`project.${resource}`] ?? 0) / unit)]
  })
  // One for each resource.
  return { limits, used: Object.fromEntries(used) as Limits<R> }
}

/**
 * How many more of a resource a project may have, in one statement: a first look, without a lock. Counting ends
 * `most` beyond the limit; Infinity without a limit.
 */
export async function readRoom<R extends string>(
  ctx: Configured,
  db: DbOrTx,
  quota: Quota<R>,
  { projectId }: QuotaOwner,
  { resource, most }: { resource: R; most: number },
): Promise<number> {
  const beyond: Partial<Record<R, number>> = {}
  beyond[resource] = most
  const counting = { side: "project", resources: [resource], userId: null, beyond } as const
  const groups = groupsOf(quota, { projectId }, counting)
  const { rows } = await sql<Counts>`select * from (${limitColumns(ctx, quota, { projectId }, [resource])}) l,
    ${sql.join(groups.map(countSql))}`.execute(db)
  const [row = {}] = rows
  const [limit] = readLimitColumns(row, [resource])
  if (!limit || limit.value < 0) return Infinity
  const unit = quota.resources[resource].use?.unit ?? 1
  return limit.value - Math.floor((row[`project.${resource}`] ?? 0) / unit)
}

/** A column `project.cores` or `user.cores` for each resource, as counted: divide by the unit. */
export type Counts = Readonly<Record<string, number>>

export interface Counting<R extends string> {
  side: "project" | "user"
  resources: readonly R[]
  /** Only what is this user's. */
  userId: string | null
  /** Of which user, group …, for what is counted within one. */
  within?: Partial<Record<R, string>>
  /** Counting may end so much beyond the limit, which the statement has as `limit.cores` or `own.cores`. */
  beyond?: Partial<Record<R, number>>
}

/** Resources that are counted over the same rows. */
interface Group {
  counters: readonly [column: string, QuotaCounter][]
  /** What is counted: `table where …` */
  rows: RawBuilder<unknown>
  limit?: RawBuilder<number>
}

export function groupsOf<R extends string>(
  quota: Quota<R>,
  owner: QuotaOwner,
  counting: Counting<R>,
): Group[] {
  const { side, resources } = counting
  const counters = resources.flatMap((resource) => {
    const { use } = quota.resources[resource]
    return use ? [{ resource, use }] : []
  })
  return [...Map.groupBy(counters, ({ use }) => use.rows)].map(([rows, own]): Group => {
    const [first] = own
    const beyond = own.length === 1 && first?.use.isRowCount ? counting.beyond?.[first.resource] : undefined
    const limit = sql.id(`${side === "project" ? "limit" : "own"}.${first?.resource}`)
    return {
      counters: own.map(({ resource, use }) => [`${side}.${resource}`, use]),
      rows: sql`${rows.table} where ${belongsTo(owner, counting, rows, first?.resource)}
        ${rows.where ? sql`and ${rows.where}` : sql``}`,
      ...(beyond === undefined ? {} : { limit: sql`greatest(${limit}, 0) + ${beyond}::bigint` }),
    }
  })
}

/** Named by its first column. */
export function countSql({ counters, rows, limit }: Group): RawBuilder<unknown> {
  const columns = counters.map(([column, { aggregate }]) => sql`${aggregate} as ${sql.id(column)}`)
  // A project that has far more than its limit is not to pay for each of them at each creation.
  const from = limit ? sql`(select from ${rows} limit ${limit}) few` : rows
  return sql`lateral (select ${sql.join(columns)} from ${from}) ${sql.id(counters[0]?.[0] ?? "")}`
}

function belongsTo<R extends string>(
  { projectId }: QuotaOwner,
  { userId, within }: Counting<R>,
  rows: CountedRows,
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
