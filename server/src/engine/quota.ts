// What a service declares its quotas with: data in its `Service`. The counting is SQL over the service's own tables;
// the service `quota` runs it and knows the rest (limits, the lock, users, classes).
import { type RawBuilder, sql } from "kysely"
import type { Config } from "../platform/config/config.ts"

/** Rows that count, of one table: resources that share them are counted in one go. */
export interface CountedRows {
  readonly table: RawBuilder<unknown>
  readonly where?: RawBuilder<unknown>
  /** Column with the user who has the row in its project, where users may have limits of their own. */
  readonly userColumn?: string
  /**
   * Column of what they are counted within, in place of the project: the key pairs of a user, the servers of a group.
   * Who asks says of which one; a project has no use of these.
   */
  readonly within?: string
}

export interface QuotaCounter {
  readonly rows: CountedRows
  readonly aggregate: RawBuilder<unknown>
  /** So much of what is counted is one of the limit: the bytes of a MiB. */
  readonly unit: number
  /** The rows themselves are counted, all of them. */
  readonly isRowCount: boolean
}

export interface QuotaResource {
  /** What limits a project without a limit of its own; -1 is no limit. */
  readonly default: (config: Config) => number
  /** Without it nothing is counted: a limit that is only shown, or that bounds each request by itself. */
  readonly use?: QuotaCounter
}

/** Where the limit of a resource (a column of the statement around it) is kept, as a scalar in SQL; null: nowhere. */
export type LimitOf = (of: {
  config: Config
  projectId: string
  resource: RawBuilder<string>
}) => RawBuilder<number | null>

export interface Quota<R extends string = string> {
  /** As in the rows of limits; the name of the service. */
  readonly service: string
  readonly resources: Readonly<Record<R, QuotaResource>>
  /** For a service whose limits are kept elsewhere; default: by the service `quota`. */
  readonly limitOf?: LimitOf
}

/** The declaration itself; it carries the names of its resources as a type. */
export function declareQuota<R extends string>(quota: Quota<R>): Quota<R> {
  return quota
}

/**
 * The same with more resources, for what is limited by what there is at the moment: the volumes of each type. The rows
 * of limits have these names, so they are made of ids: a name may change, and another thing may get it.
 */
export function widenQuota<R extends string, E extends string>(
  quota: Quota<R>,
  more: Readonly<Record<E, QuotaResource>>,
): Quota<R | E> {
  // These and no others.
  const resources = { ...quota.resources, ...more } as Record<R | E, QuotaResource>
  return { ...quota, resources }
}

export function countOf(rows: CountedRows, filter?: RawBuilder<unknown>): QuotaCounter {
  return { rows, aggregate: sql`count(*)${filtered(filter)}`, unit: 1, isRowCount: filter === undefined }
}

export function sumOf(
  rows: CountedRows,
  column: RawBuilder<unknown>,
  options: { filter?: RawBuilder<unknown>; unit?: number } = {},
): QuotaCounter {
  const aggregate = sql`coalesce(sum(${column})${filtered(options.filter)}, 0)::bigint`
  return { rows, aggregate, unit: options.unit ?? 1, isRowCount: false }
}

function filtered(filter: RawBuilder<unknown> | undefined): RawBuilder<unknown> {
  return filter === undefined ? sql`` : sql` filter (where ${filter})`
}
