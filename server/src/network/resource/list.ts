// One way to read every noun: the columns say what is shown, filtered and sorted; one statement gives the page.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { pageClauses } from "../../platform/db/page.ts"
import type { Page, SortKey } from "../../platform/http/paging.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { canonicalAddress, canonicalMac, formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import type { PolicyTarget } from "../../platform/policy/rule.ts"
import type { Visible } from "./visible.ts"

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
  /** `network.network` */
  table: RawBuilder<unknown>
  /** The name that the columns have it by: `n`. */
  alias: string
  /** What the columns need besides. */
  joins?: RawBuilder<unknown>
  columns: Columns
  /** What the viewer may see. */
  visible: Visible
  /** Told when the marker names nothing. */
  markerFault: (id: string) => Error
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

/** Conjunct for one filter. The values become what the column is, never the other way: that is what indexes need. */
function matches(c: Column, values: readonly string[]): RawBuilder<boolean> {
  if (c.match) return c.match(values)
  switch (c.kind) {
    case "uuid":
      return sql<boolean>`${c.sql} = any(${values.filter(isUuid)}::uuid[])`
    case "boolean": {
      const isTrue = values.includes("true")
      if (isTrue && values.some((v) => v !== "true")) return sql<boolean>`${c.sql} is not null`
      return isTrue ? sql<boolean>`${c.sql}` : sql<boolean>`not ${c.sql}`
    }
    case "integer": {
      const numbers = values.map(Number).filter(Number.isSafeInteger)
      return sql<boolean>`${c.sql} = any(${numbers}::bigint[])`
    }
    case "address":
      return sql<boolean>`${c.sql} = any(${addressesOf(values)}::inet[])`
    case "cidr":
      return sql<boolean>`${c.sql} = any(${known(values, (v) => canonicalPrefix(v))}::cidr[])`
    case "mac":
      return sql<boolean>`${c.sql} = any(${known(values, canonicalMac)}::macaddr[])`
    default:
      return sql<boolean>`${c.sql} = any(${values}::text[])`
  }
}

/** Nothing is equal to what cannot be read. */
function known(values: readonly string[], read: (value: string) => string | undefined): string[] {
  return values.map(read).filter((value) => value !== undefined)
}

export function addressesOf(values: readonly string[]): string[] {
  return known(values, canonicalAddress)
}

function canonicalPrefix(text: string): string | undefined {
  const prefix = parsePrefix(text)
  return prefix && formatPrefix(prefix)
}

function conditions(source: Source, filters: Filters): RawBuilder<boolean>[] {
  return Object.entries(filters).map(([key, values]) => {
    const c = source.columns[key]
    if (!c) throw new Error(`no column for filter ${key}`)
    return matches(c, values)
  })
}

/** Of every noun; their lists are ordered by them unless another order is asked for, and have indexes for it. */
const neverNull: ReadonlySet<string> = new Set(["id", "createdAt"])
const defaultSorts: readonly SortKey[] = [
  { key: "createdAt", direction: "asc" },
  { key: "id", direction: "asc" },
]

/** A page for a caller. */
export interface Listed<T> {
  items: T[]
  /** The page as it was read, before rules took something out of it: what is next begins after its last row. */
  read: { count: number; firstId: string | null; lastId: string | null }
}

/** Leaves out what the caller may not list, by the noun's `get_` rule. */
export function listed<T extends { id: string }>(
  ctx: Ctx,
  rule: string,
  rows: T[],
  target: (item: T) => PolicyTarget,
): Listed<T> {
  return {
    items: rows.filter((row) => ctx.policy.isAllowed(ctx.caller, rule, target(row))),
    read: { count: rows.length, firstId: rows[0]?.id ?? null, lastId: rows.at(-1)?.id ?? null },
  }
}

/** Rows of a page. A limit of null is no limit: for the program's own reads. */
export async function listRows<T>(db: DbOrTx, source: Source, query: ListQuery = {}): Promise<T[]> {
  const { page = {} } = query
  const sorts = page.sorts && page.sorts.length > 0 ? page.sorts : defaultSorts
  const marker = page.marker
    ? await markerRow(db, source, page.marker, [...sorts.map((s) => s.key), "id"])
    : null
  const { rows } = await listStatement<T>(source, query, marker).execute(db)
  return page.isReverse ? rows.reverse() : rows
}

export function listStatement<T>(
  source: Source,
  query: ListQuery,
  marker: Readonly<Record<string, unknown>> | null,
): RawBuilder<T> {
  const { filters = {}, page = {} } = query
  const sorts = page.sorts && page.sorts.length > 0 ? page.sorts : defaultSorts
  const order = { sorts: [...sorts], isReverse: page.isReverse ?? false }
  const { where, orderBy } = pageClauses(order, sortColumns(source, columnOf), "id", marker)
  const limit = page.limit === null || page.limit === undefined ? sql`` : sql`limit ${page.limit}`
  const asked = sql.join([...conditions(source, filters), where], sql` and `)
  const { main, others } = source.visible
  if (others.length === 0) {
    return sql<T>`select ${selection(source.columns)} from ${fromOf(source)}
      where ${main} and ${asked} order by ${orderBy} ${limit}`
  }
  // The ids of the page first: its own rows by an index in that order, the few others at once.
  const keys = [...new Set([...sorts.map((s) => s.key), "id"])]
  const read = sql.join(keys.map((key) => sql`${columnOf(source, key)} as ${sql.id(key)}`))
  const otherRows = others.map(
    (range) => sql`select ${read} from ${fromOf(source)} where ${range} and ${asked}`,
  )
  const { orderBy: pageOrder } = pageClauses(order, sortColumns(source, keyOf), "id", null)
  return sql<T>`with others as materialized (${sql.join(otherRows, sql` union all `)}),
    page as materialized (select * from (
        (select ${read} from ${fromOf(source)} where ${main} and ${asked} order by ${orderBy} ${limit})
        union all select * from others) page
      order by ${pageOrder} ${limit})
    select thing.* from page cross join lateral (select ${selection(source.columns)} from ${fromOf(source)}
      where ${columnOf(source, "id")} = page.id offset 0) thing order by ${pageOrder}`
}

/** The source's table with its joins; or other rows of that table in its place. */
function fromOf(source: Source, table = source.table): RawBuilder<unknown> {
  return sql`${table} as ${sql.id(source.alias)} ${source.joins ?? sql``}`
}

function sortColumns(source: Source, expression: (source: Source, key: string) => RawBuilder<unknown>) {
  return Object.fromEntries(
    Object.keys(source.columns).map((key) => [
      key,
      { column: expression(source, key), isNullable: !neverNull.has(key) },
    ]),
  )
}

function columnOf(source: Source, key: string): RawBuilder<unknown> {
  const c = source.columns[key]
  if (!c) throw new Error(`no column ${key}`)
  return c.sql
}

const keyOf = (_source: Source, key: string) => sql.ref(`page.${key}`)

async function markerRow(
  db: DbOrTx,
  source: Source,
  id: string,
  keys: readonly string[],
): Promise<Record<string, unknown>> {
  if (!isUuid(id)) throw source.markerFault(id)
  // Times as text: a Date has no microseconds, and the comparison needs them.
  const read = [...new Set(keys)].map((key) => {
    const value = columnOf(source, key)
    return sql`${source.columns[key]?.kind === "time" ? sql`(${value})::text` : value} as ${sql.id(key)}`
  })
  const { rows } = await sql<Record<string, unknown>>`select ${sql.join(read)} from ${fromOf(source)}
    where ${source.visible.row} and ${columnOf(source, "id")} = ${id}`.execute(db)
  if (!rows[0]) throw source.markerFault(id)
  return rows[0]
}

/** The one row with that id, when the viewer may see it. */
export async function findRow<T>(db: DbOrTx, source: Source, id: string): Promise<T | undefined> {
  const idColumn = source.columns.id
  if (!idColumn || !isUuid(id)) return undefined
  const { rows } = await sql<T>`select ${selection(source.columns)} from ${fromOf(source)}
    where ${source.visible.row} and ${idColumn.sql} = ${id}`.execute(db)
  return rows[0]
}

export async function findRows<T>(db: DbOrTx, source: Source, ids: readonly string[]): Promise<T[]> {
  const idColumn = source.columns.id
  if (!idColumn || ids.length === 0) return []
  const { rows } = await sql<T>`select ${selection(source.columns)} from ${fromOf(source)}
    where ${source.visible.row} and ${idColumn.sql} = any(${ids}::uuid[])`.execute(db)
  return rows
}

/** The new row as lists show it, and the statement that makes it. */
export interface Making {
  /** Column → value. */
  values: Readonly<Record<string, unknown>>
  /** What is made with it; the row is `made`. The answer does not show it yet. */
  with?: readonly RawBuilder<unknown>[]
  /** The one constraint that a row there already may break; absent: any. Others are errors. */
  constraint?: string
}

/** Makes a row and reads it, in one statement; undefined when something that may be there once is there already. */
export async function insertRow<T>(tx: Tx, source: Source, making: Making): Promise<T | undefined> {
  const names = sql.join(Object.keys(making.values).map((name) => sql.id(name)))
  const conflict = making.constraint ? sql`on constraint ${sql.id(making.constraint)}` : sql``
  const made = sql`insert into ${source.table} (${names}) values (${sql.join(Object.values(making.values))})
    on conflict ${conflict} do nothing returning *`
  const besides = (making.with ?? []).map(
    (statement, n) => sql`, ${sql.id(`besides_${n}`)} as (${statement})`,
  )
  const { rows } = await sql<T>`with made as (${made})${besides.length > 0 ? sql.join(besides, sql``) : sql``}
    select ${selection(source.columns)} from ${fromOf(source, sql`made`)}`.execute(tx)
  return rows[0]
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
