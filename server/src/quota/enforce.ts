// Room within the limits, looked at under a lock that is held until the transaction ends: a burst of requests cannot
// pass a limit together. Where nothing is limited, nothing is locked and nothing counted.
import { sql } from "kysely"
import type { Quota } from "../engine/quota.ts"
import type { Tx } from "../platform/db/database.ts"
import { type QuotaShortage, quotaExceeded } from "./faults.ts"
import { type Configured, type LimitRow, limitColumns, type QuotaOwner, readLimitColumns } from "./limits.ts"
import { lockOf } from "./lock.ts"
import { type Counts, countSql, groupsOf } from "./use.ts"

/** How many more; with `of`, the user or group that they are counted within. */
export type QuotaAdd = number | { add: number; of: string }

export interface QuotaAsk<R extends string> extends QuotaOwner {
  add: Partial<Record<R, QuotaAdd>>
}

interface Standing {
  limit: number
  /** As counted. */
  used: number
  unit: number
}
type Standings<R extends string> = Partial<Record<R, Standing>>

/** Limits and use, true until the transaction ends. */
export interface HeldQuota<R extends string> {
  readonly ofProject: Standings<R>
  /** Of what the user has limits of its own for. */
  readonly ofUser: Standings<R>
}

/** Throws `quota.exceeded` naming every resource that is short. Whoever asks for several is served in one order. */
export async function enforceQuota<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  asks: QuotaAsk<R> | readonly QuotaAsk<R>[],
): Promise<void> {
  for (const ask of inOrder(asks)) checkRoom(await hold(ctx, tx, quota, ask, beyondOf(ask)), addsOf(ask))
}

/**
 * The same for what the transaction has made already: last in the transaction, so that the project's other requests
 * wait for a count and a commit and for nothing else.
 */
export async function enforceQuotaOfMade<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  asks: QuotaAsk<R> | readonly QuotaAsk<R>[],
): Promise<void> {
  for (const ask of inOrder(asks)) {
    const adds = addsOf(ask)
    const held = await hold(ctx, tx, quota, ask, beyondOf(ask))
    checkRoom({ ofProject: without(held.ofProject, adds), ofUser: without(held.ofUser, adds) }, adds)
  }
}

/** For who decides by the room itself how many there will be: `roomOf`, then `checkRoom`. */
export async function holdQuota<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  owner: QuotaOwner,
  resources: readonly R[],
): Promise<HeldQuota<R>> {
  const add: Partial<Record<R, QuotaAdd>> = {}
  for (const resource of resources) add[resource] = 0
  return await hold(ctx, tx, quota, { ...owner, add }, {})
}

/** What is left, as it is counted (bytes, not MiB); Infinity without a limit, below 0 where there is too much. */
export function roomOf<R extends string>(held: HeldQuota<R>, resource: R): number {
  const left = [held.ofProject[resource], held.ofUser[resource]].map((standing) =>
    standing && standing.limit >= 0 ? standing.limit * standing.unit - standing.used : Infinity,
  )
  return Math.min(...left)
}

/** Throws `quota.exceeded` naming every resource that is short: of the project, else of the user. */
export function checkRoom<R extends string>(held: HeldQuota<R>, adds: Partial<Record<R, number>>): void {
  for (const standings of [held.ofProject, held.ofUser]) {
    const shortages: QuotaShortage[] = []
    for (const resource in adds) {
      const { limit, used: counted, unit } = standings[resource] ?? { limit: -1, used: 0, unit: 1 }
      const [asked, used] = [adds[resource] ?? 0, Math.floor(counted / unit)]
      if (limit >= 0 && used + asked > limit) shortages.push({ resource, asked, used, limit })
    }
    if (shortages.length > 0) throw quotaExceeded(shortages)
  }
}

/** So many more for each owner named, who may be named more than once; what is nobody's has no limit. */
export function asksOf<R extends string>(
  owners: readonly string[],
  add: Partial<Record<R, number>>,
): QuotaAsk<R>[] {
  return [...Map.groupBy(owners, (owner) => owner)].flatMap(([projectId, named]) => {
    const times: Partial<Record<R, number>> = {}
    for (const resource in add) times[resource] = (add[resource] ?? 0) * named.length
    return projectId === "" ? [] : [{ projectId, add: times }]
  })
}

/** The same everywhere, so that two requests for several projects cannot wait for each other. */
function inOrder<R extends string>(asks: QuotaAsk<R> | readonly QuotaAsk<R>[]): QuotaAsk<R>[] {
  return [asks].flat().sort((a, b) => (a.projectId < b.projectId ? -1 : 1))
}

function addsOf<R extends string>(ask: QuotaAsk<R>): Partial<Record<R, number>> {
  const adds: Partial<Record<R, number>> = {}
  for (const resource in ask.add) {
    const add: QuotaAdd = ask.add[resource] ?? 0
    adds[resource] = typeof add === "number" ? add : add.add
  }
  return adds
}

function beyondOf<R extends string>(ask: QuotaAsk<R>): Partial<Record<R, number>> {
  const adds = addsOf(ask)
  for (const resource in adds) adds[resource] = (adds[resource] ?? 0) + 1
  return adds
}

function without<R extends string>(standings: Standings<R>, made: Partial<Record<R, number>>): Standings<R> {
  const before: Standings<R> = {}
  for (const resource in standings) {
    const standing = standings[resource]
    if (!standing) continue
    before[resource] = { ...standing, used: standing.used - (made[resource] ?? 0) * standing.unit }
  }
  return before
}

async function hold<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  ask: QuotaAsk<R>,
  beyond: Partial<Record<R, number>>,
): Promise<HeldQuota<R>> {
  // The ask has no other keys.
  const resources = Object.keys(ask.add) as R[]
  const counted = resources.filter((resource) => quota.resources[resource].use)
  const within: Partial<Record<R, string>> = {}
  for (const resource of resources) {
    const add = ask.add[resource]
    if (typeof add === "object") within[resource] = add.of
  }
  const before = await lockLimits(ctx, tx, quota, ask, { resources, counted, within })
  const limited = (side: "value" | "own") =>
    counted.filter((name) => (before.find(({ resource }) => resource === name)?.[side] ?? -1) >= 0)
  const [ofProject, ofUser] = [limited("value"), limited("own")]
  const groups = [
    ...groupsOf(quota, ask, { side: "project", resources: ofProject, userId: null, within, beyond }),
    ...groupsOf(quota, ask, { side: "user", resources: ofUser, userId: ask.userId ?? null, within, beyond }),
  ]
  if (groups.length === 0) return standingsOf(quota, before, {})
  const again = resources.filter((resource) => ofProject.includes(resource) || ofUser.includes(resource))
  const { rows } = await sql<Counts>`select * from (${limitColumns(ctx, quota, ask, again)}) l,
    ${sql.join(groups.map(countSql))}`.execute(tx)
  const [row = {}] = rows
  const after = readLimitColumns(row, again)
  // A limit that was made while this waited for the lock is not counted for: it holds from the next request on.
  const inForce = before.map((limit) => {
    const now = after.find(({ resource }) => resource === limit.resource) ?? limit
    return {
      resource: limit.resource,
      value: limit.value >= 0 ? now.value : limit.value,
      own: (limit.own ?? -1) >= 0 ? now.own : limit.own,
    }
  })
  return standingsOf(quota, inForce, row)
}

function standingsOf<R extends string>(
  quota: Quota<R>,
  limits: readonly LimitRow[],
  counts: Counts,
): HeldQuota<R> {
  const held = { ofProject: {} as Standings<R>, ofUser: {} as Standings<R> }
  for (const row of limits) {
    // The statement gives back the names that it was given.
    const resource = row.resource as R
    const unit = quota.resources[resource].use?.unit ?? 1
    held.ofProject[resource] = { limit: row.value, used: counts[`project.${resource}`] ?? 0, unit }
    if (row.own !== null)
      held.ofUser[resource] = { limit: row.own, used: counts[`user.${resource}`] ?? 0, unit }
  }
  return held
}

/**
 * The limits; where there is one (not -1) of what is counted, the project's quota is locked in the same statement:
 * what is counted after it is right until the transaction ends.
 */
async function lockLimits<R extends string>(
  ctx: Configured,
  tx: Tx,
  quota: Quota<R>,
  owner: QuotaOwner,
  wanted: { resources: readonly R[]; counted: readonly R[]; within: Partial<Record<R, string>> },
): Promise<LimitRow[]> {
  const { resources, counted } = wanted
  const limits = limitColumns(ctx, quota, owner, resources)
  const columns = counted.flatMap((name) => [sql.id(`limit.${name}`), sql.id(`own.${name}`)])
  // First what things are counted within: it may be shared by projects.
  const locks = [
    ...Object.entries(wanted.within).map(([name, of]) => lockOf(quota.service, name, String(of))),
    lockOf(quota.service, owner.projectId),
  ].map((lock) => sql`, case when greatest(${sql.join(columns)}) >= 0 then ${lock} end`)
  const { rows } = await sql<Record<string, number | null>>`
    select *${columns.length > 0 ? sql.join(locks, sql``) : sql``} from (${limits}) l`.execute(tx)
  return readLimitColumns(rows[0] ?? {}, resources)
}
