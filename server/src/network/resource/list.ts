// One way to read every noun: the columns say what is shown, filtered and sorted; one statement gives the page.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { pageClauses } from "../../platform/db/page.ts"
import type { Page } from "../../platform/http/paging.ts"
import { isUuid } from "../../platform/ids/ids.ts"

export type ColumnKind =
  | "text"
  | "uuid"
  | "boolean"
  | "integer"
  | "address"
  | "cidr"
  | "mac"
  | "time"
  | "other"

export interface Column {
  sql: RawBuilder<unknown>
  kind: ColumnKind
  /** For filters that are more than equality with one of the values. */
  match?: (values: readonly string[]) => RawBuilder<boolean>
  /** Only for filters: not read. */
  isHidden?: true
}

export type Columns = Readonly<Record<string, Column>>

/** Values by key; several values of a key are alternatives, keys must all hold. */
export type Filters = Readonly<Record<string, readonly string[]>>

export interface ListQuery {
  filters?: Filters
  page?: Partial<Page>
}

export interface Source {
  /** `network.network n` with its joins. */
  from: RawBuilder<unknown>
  columns: Columns
  /** What the viewer may see. */
  where: RawBuilder<boolean>
  /** Told when the marker names nothing. */
  markerFault: (id: string) => Error
  /** Order of a list that nobody sorted. */
  order?: readonly string[]
}

export function column(kind: ColumnKind, expression: RawBuilder<unknown>): Column {
  return { kind, sql: expression }
}

export function filterOnly(match: (values: readonly string[]) => RawBuilder<boolean>): Column {
  return { kind: "other", sql: sql`null`, match, isHidden: true }
}

export function selection(columns: Columns): RawBuilder<unknown> {
  const shown = Object.entries(columns).filter(([, c]) => !c.isHidden)
  return sql.join(shown.map(([key, c]) => sql`${c.sql} as ${sql.id(key)}`))
}

/** Conjunct for one filter. */
function matches(c: Column, values: readonly string[]): RawBuilder<boolean> {
  if (c.match) return c.match(values)
  switch (c.kind) {
    case "uuid": {
      const ids = values.filter(isUuid)
      return ids.length === 0 ? sql<boolean>`false` : sql<boolean>`${c.sql} = any(${ids}::uuid[])`
    }
    case "boolean":
      return sql<boolean>`${c.sql} = any(${values.map((v) => v === "true")}::boolean[])`
    case "integer": {
      const numbers = values.map(Number).filter(Number.isSafeInteger)
      return sql<boolean>`${c.sql} = any(${numbers}::bigint[])`
    }
    case "address":
      return sql<boolean>`host(${c.sql}) = any(${values.map((v) => v.toLowerCase())}::text[])`
    case "cidr":
    case "mac":
      return sql<boolean>`${c.sql}::text = any(${values.map((v) => v.toLowerCase())}::text[])`
    default:
      return sql<boolean>`${c.sql} = any(${values}::text[])`
  }
}

function conditions(source: Source, filters: Filters): RawBuilder<boolean>[] {
  const all = [source.where]
  for (const [key, values] of Object.entries(filters)) {
    const c = source.columns[key]
    if (!c) throw new Error(`no column for filter ${key}`)
    all.push(matches(c, values))
  }
  return all
}

/** Of every noun; their lists are ordered by them unless another order is asked for, and have indexes for it. */
const neverNull: ReadonlySet<string> = new Set(["id", "createdAt"])

/** Rows of a page. A limit of null is no limit. */
export async function listRows<T>(db: DbOrTx, source: Source, query: ListQuery = {}): Promise<T[]> {
  const { filters = {}, page = {} } = query
  const order = source.order ?? ["createdAt", "id"]
  const sorts =
    page.sorts && page.sorts.length > 0
      ? page.sorts
      : order.map((key) => ({ key, direction: "asc" as const }))
  const idKey = order.at(-1) ?? "id"
  const sortColumns = Object.fromEntries(
    Object.entries(source.columns).map(([key, c]) => [
      key,
      { column: c.sql, isNullable: !neverNull.has(key) },
    ]),
  )
  const marker = page.marker
    ? await markerRow(db, source, page.marker, [...sorts.map((s) => s.key), idKey])
    : null
  const { where, orderBy } = pageClauses(
    { sorts: [...sorts], isReverse: page.isReverse ?? false },
    sortColumns,
    idKey,
    marker,
  )
  const limit = page.limit === null || page.limit === undefined ? sql`` : sql`limit ${page.limit}`
  const { rows } = await sql<T>`select ${selection(source.columns)} from ${source.from}
    where ${sql.join([...conditions(source, filters), where], sql` and `)}
    order by ${orderBy} ${limit}`.execute(db)
  return page.isReverse ? rows.reverse() : rows
}

async function markerRow(
  db: DbOrTx,
  source: Source,
  id: string,
  keys: readonly string[],
): Promise<Record<string, unknown>> {
  const idColumn = source.columns.id
  if (!idColumn || !isUuid(id)) throw source.markerFault(id)
  // Times as text: a Date has no microseconds, and the comparison needs them.
  const read = [...new Set(keys)].map((key) => {
    const c = source.columns[key]
    if (!c) throw new Error(`no column for sort key ${key}`)
    return sql`${c.kind === "time" ? sql`(${c.sql})::text` : c.sql} as ${sql.id(key)}`
  })
  const { rows } = await sql<Record<string, unknown>>`select ${sql.join(read)} from ${source.from}
    where ${source.where} and ${idColumn.sql} = ${id}`.execute(db)
  if (!rows[0]) throw source.markerFault(id)
  return rows[0]
}

/** The one row with that id, when the viewer may see it. */
export async function findRow<T>(db: DbOrTx, source: Source, id: string): Promise<T | undefined> {
  const idColumn = source.columns.id
  if (!idColumn || !isUuid(id)) return undefined
  const { rows } = await sql<T>`select ${selection(source.columns)} from ${source.from}
    where ${source.where} and ${idColumn.sql} = ${id}`.execute(db)
  return rows[0]
}

export async function findRows<T>(db: DbOrTx, source: Source, ids: readonly string[]): Promise<T[]> {
  const idColumn = source.columns.id
  if (!idColumn || ids.length === 0) return []
  const { rows } = await sql<T>`select ${selection(source.columns)} from ${source.from}
    where ${source.where} and ${idColumn.sql} = any(${ids}::uuid[])`.execute(db)
  return rows
}

/** Columns that every noun has; `t` is the table's alias. Tags and description where the table has them. */
export function standardColumns(t: string, has: { tags?: boolean; description?: boolean } = {}): Columns {
  const at = (name: string) => sql`${sql.ref(`${t}.${name}`)}`
  const tags = at("tags")
  return {
    id: column("uuid", at("id")),
    projectId: column("text", at("project_id")),
    revisionNumber: column("integer", at("generation")),
    createdAt: column("time", at("created_at")),
    updatedAt: column("time", at("updated_at")),
    changedSince: filterOnly(([since]) => sql<boolean>`${at("updated_at")} >= ${since ?? ""}::timestamptz`),
    ...(has.description === false ? {} : { description: column("text", at("description")) }),
    ...(has.tags === false
      ? {}
      : {
          tags: { kind: "other", sql: tags, match: (v) => sql<boolean>`${tags} @> ${tagList(v)}::text[]` },
          tagsAny: filterOnly((v) => sql<boolean>`${tags} && ${tagList(v)}::text[]`),
          notTags: filterOnly((v) => sql<boolean>`not ${tags} @> ${tagList(v)}::text[]`),
          notTagsAny: filterOnly((v) => sql<boolean>`not ${tags} && ${tagList(v)}::text[]`),
        }),
  }
}

function tagList(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(","))
}
