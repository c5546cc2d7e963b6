// Reads nouns: one thing, some, a page of what the viewer sees. One statement each.
import { type RawBuilder, sql } from "kysely"
import { type TUnsafe, Type } from "typebox"
import type { DbOrTx, Tx } from "../db/database.ts"
import { pageClauses } from "../db/page.ts"
import type { Page, SortKey } from "../http/paging.ts"
import { isUuid } from "../ids/ids.ts"
import { canonicalAddress, canonicalMac, formatPrefix, parsePrefix } from "../net/address.ts"
import type { ColumnKind, Fields, ThingOf } from "./field.ts"
import { type Noun, type Source, sourceOf } from "./noun.ts"

export const comparators = ["equal", "unequal", "above", "atLeast", "below", "atMost"] as const
export type Comparator = (typeof comparators)[number]

/** More than equality: the value stands on the right. */
export interface Compared {
  by: Comparator
  value: string | number | Date
}

/**
 * Values by key, of which one is to be equal, or a comparison with one value. All keys must hold; of one key that is
 * compared twice (from, to) there is a list.
 */
export type Filters = Readonly<Record<string, readonly string[] | readonly Compared[]>>

/** What a list takes, of whatever noun. Its names were read by a wire, by what the noun says may be asked. */
export interface ListQuery {
  filters?: Filters
  page?: Partial<Page>
}
const ComparedInput = Type.Object({
  by: Type.Union(comparators.map((word) => Type.Literal(word))),
  value: Type.Unknown(),
})
export const ListQuery: TUnsafe<ListQuery> = Type.Unsafe<ListQuery>(
  Type.Object({
    filters: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.Array(Type.String()), Type.Array(ComparedInput)])),
    ),
    page: Type.Optional(
      Type.Object({
        limit: Type.Optional(Type.Union([Type.Integer({ minimum: 0 }), Type.Null()])),
        marker: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        sorts: Type.Optional(
          Type.Array(
            Type.Object({
              key: Type.String(),
              direction: Type.Union([Type.Literal("asc"), Type.Literal("desc")]),
            }),
          ),
        ),
        isReverse: Type.Optional(Type.Boolean()),
      }),
    ),
  }),
)

/** A page for a caller. */
export interface Listed<T> {
  items: T[]
  /** The page as it was read, before rules took something out of it: what is next begins after its last row. */
  read: { count: number; firstId: string | null; lastId: string | null }
}

/** Leaves out what `mayList` refuses. */
export function listed<T>(rows: T[], idOf: (item: T) => string, mayList: (item: T) => boolean): Listed<T> {
  const [first, last] = [rows[0], rows.at(-1)]
  return {
    items: rows.filter(mayList),
    read: {
      count: rows.length,
      firstId: first === undefined ? null : idOf(first),
      lastId: last === undefined ? null : idOf(last),
    },
  }
}

/** Conjunct for one filter. The values become what the column is, never the other way: that is what indexes need. */
function matches(
  source: Source,
  key: string,
  asked: readonly string[] | readonly Compared[],
): RawBuilder<boolean> {
  const field = source.fields[key]
  if (!field) throw new Error(`no field for filter ${key}`)
  const column = columnOf(source, key)
  if (isCompared(asked))
    return sql.join(
      asked.map((one) => compared(field.kind, column, one)),
      sql` and `,
    )
  // Nobody's text has a NUL, and PostgreSQL refuses to look for one.
  const values = asked.filter((value) => !value.includes("\0"))
  if (field.match) return field.match(values)
  switch (field.kind) {
    case "uuid":
      return sql<boolean>`${column} = any(${values.filter(isUuid)}::uuid[])`
    case "boolean": {
      const isTrue = values.includes("true")
      if (isTrue && values.some((v) => v !== "true")) return sql<boolean>`${column} is not null`
      return isTrue ? sql<boolean>`${column}` : sql<boolean>`not ${column}`
    }
    case "integer": {
      const numbers = values.map(Number).filter(Number.isSafeInteger)
      return sql<boolean>`${column} = any(${numbers}::bigint[])`
    }
    case "address":
      return sql<boolean>`${column} = any(${addressesOf(values)}::inet[])`
    case "cidr":
      return sql<boolean>`${column} = any(${known(values, canonicalPrefix)}::cidr[])`
    case "mac":
      return sql<boolean>`${column} = any(${known(values, canonicalMac)}::macaddr[])`
    default:
      return sql<boolean>`${column} = any(${values}::text[])`
  }
}

function isCompared(asked: readonly string[] | readonly Compared[]): asked is readonly Compared[] {
  return typeof asked[0] === "object"
}

const operators: Readonly<Record<Comparator, RawBuilder<unknown>>> = {
  equal: sql`=`,
  unequal: sql`<>`,
  above: sql`>`,
  atLeast: sql`>=`,
  below: sql`<`,
  atMost: sql`<=`,
}

function compared(
  kind: ColumnKind,
  column: RawBuilder<unknown>,
  { by, value }: Compared,
): RawBuilder<boolean> {
  if (kind === "time" && value instanceof Date) return comparedInSeconds(column, by, value)
  return sql<boolean>`${column} ${operators[by]} ${value}`
}

/** Clients see times in whole seconds and compare those: 12:00:00.7 is not above 12:00:00. The column stays bare. */
function comparedInSeconds(column: RawBuilder<unknown>, by: Comparator, value: Date): RawBuilder<boolean> {
  const second = 1_000
  const floor = Math.floor(value.getTime() / second) * second
  const next = new Date(floor + second)
  const isWhole = value.getTime() === floor
  const ceiling = isWhole ? value : next
  switch (by) {
    case "equal":
      return isWhole ? sql<boolean>`(${column} >= ${value} and ${column} < ${next})` : sql<boolean>`false`
    case "unequal":
      return isWhole ? sql<boolean>`(${column} < ${value} or ${column} >= ${next})` : sql<boolean>`true`
    case "above":
      return sql<boolean>`${column} >= ${next}`
    case "atLeast":
      return sql<boolean>`${column} >= ${ceiling}`
    case "below":
      return sql<boolean>`${column} < ${ceiling}`
    case "atMost":
      return sql<boolean>`${column} < ${next}`
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

function sortsOf({ order }: Source, { sorts = [] }: Partial<Page>): readonly SortKey[] {
  return sorts.length > 0 ? sorts : order
}

/**
 * Rows of a page. A limit of null is no limit: for the program's own reads. `also`: what a service asks besides, of the
 * rows by the noun's alias.
 */
export async function listThings<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  query: ListQuery & { also?: readonly RawBuilder<boolean>[] } = {},
): Promise<ThingOf<F>[]> {
  const source = sourceOf(of, viewer)
  const { page = {}, also = [] } = query
  const marker = page.marker ? await markerRow(db, source, page.marker, sortsOf(source, page)) : null
  const { rows } = await listStatement<ThingOf<F>>(source, query, marker, also).execute(db)
  return page.isReverse ? rows.reverse() : rows
}

export function listStatement<T>(
  source: Source,
  query: ListQuery,
  marker: Readonly<Record<string, unknown>> | null,
  also: readonly RawBuilder<boolean>[] = [],
): RawBuilder<T> {
  const { filters = {}, page = {} } = query
  const sorts = sortsOf(source, page)
  const order = { sorts: [...sorts], isReverse: page.isReverse ?? false }
  const { where, orderBy } = pageClauses(order, sortColumns(source, columnOf), source.key, marker)
  const limit = page.limit === null || page.limit === undefined ? sql`` : sql`limit ${page.limit}`
  const conditions = Object.entries(filters).map(([key, values]) => matches(source, key, values))
  const asked = sql.join([...conditions, ...also, where], sql` and `)
  const { main, others } = source.visible
  if (others.length === 0) {
    return sql<T>`select ${source.selection} from ${fromOf(source)}
      where ${main} and ${asked} order by ${orderBy} ${limit}`
  }
  // The ids of the page first: its own rows by an index in that order, the few others at once.
  const keys = keysOf(source, sorts)
  const read = sql.join(keys.map((key) => sql`${columnOf(source, key)} as ${sql.id(key)}`))
  const otherRows = others.map(
    (range) => sql`select ${read} from ${fromOf(source)} where ${range} and ${asked}`,
  )
  const { orderBy: pageOrder } = pageClauses(order, sortColumns(source, keyOf), source.key, null)
  return sql<T>`with others as materialized (${sql.join(otherRows, sql` union all `)}),
    page as materialized (select * from (
        (select ${read} from ${fromOf(source)} where ${main} and ${asked} order by ${orderBy} ${limit})
        union all select * from others) page
      order by ${pageOrder} ${limit})
    select thing.* from page cross join lateral (select ${source.selection} from ${fromOf(source)}
      where ${columnOf(source, source.key)} = ${keyOf(source, source.key)} offset 0) thing order by ${pageOrder}`
}

/** What an order needs of a row; the key ends it, so that it is total. */
function keysOf({ key }: Source, sorts: readonly SortKey[]): string[] {
  return [...new Set([...sorts.map((sort) => sort.key), key])]
}

/** The source's table with its joins; or other rows of that table in its place. */
function fromOf(source: Source, table = source.table): RawBuilder<unknown> {
  return sql`${table} as ${sql.id(source.alias)} ${source.joins}`
}

function sortColumns(source: Source, expression: (source: Source, key: string) => RawBuilder<unknown>) {
  return Object.fromEntries(
    Object.keys(source.fields).map((key) => [
      key,
      { column: expression(source, key), isNullable: source.fields[key]?.isNullable === true },
    ]),
  )
}

function columnOf(source: Source, key: string): RawBuilder<unknown> {
  const column = source.columns[key]
  if (!column) throw new Error(`no field ${key}`)
  return column
}

const keyOf = (_source: Source, key: string) => sql.ref(`page.${key}`)

/** What a page in that order begins after, of the thing with that key; throws the noun's `not_found`. */
export async function markerRow(
  db: DbOrTx,
  source: Source,
  id: string,
  sorts: readonly SortKey[],
): Promise<Record<string, unknown>> {
  if (!isIdOf(source, id)) throw source.notFound(id)
  // Times as text: a Date has no microseconds, and the comparison needs them.
  const read = keysOf(source, sorts).map((key) => {
    const value = columnOf(source, key)
    return sql`${source.fields[key]?.kind === "time" ? sql`(${value})::text` : value} as ${sql.id(key)}`
  })
  const { rows } = await sql<Record<string, unknown>>`select ${sql.join(read)} from ${fromOf(source)}
    where ${source.visible.row} and ${columnOf(source, source.key)} = ${id}`.execute(db)
  if (!rows[0]) throw source.notFound(id)
  return rows[0]
}

/** Whether the database could have it for an id: text that is none would be an error there. */
function isIdOf({ fields, key }: Source, id: string): boolean {
  return fields[key]?.kind === "uuid" ? isUuid(id) : !id.includes("\0")
}

/** The one thing with that key, when the viewer may see it. */
export async function findThing<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  id: string,
): Promise<ThingOf<F> | undefined> {
  const source = sourceOf(of, viewer)
  if (!isIdOf(source, id)) return undefined
  const { rows } = await sql<ThingOf<F>>`select ${source.selection} from ${fromOf(source)}
    where ${source.visible.row} and ${columnOf(source, source.key)} = ${id}`.execute(db)
  return rows[0]
}

/** The same; throws the noun's `not_found`. */
export async function loadThing<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  id: string,
): Promise<ThingOf<F>> {
  const thing = await findThing(db, of, viewer, id)
  if (!thing) throw of.notFound(id)
  return thing
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
export async function insertThing<F extends Fields, V>(
  tx: Tx,
  of: Noun<F, V>,
  viewer: V,
  making: Making,
): Promise<ThingOf<F> | undefined> {
  const source = sourceOf(of, viewer)
  const names = sql.join(Object.keys(making.values).map((name) => sql.id(name)))
  const conflict = making.constraint ? sql`on constraint ${sql.id(making.constraint)}` : sql``
  const made = sql`insert into ${source.table} (${names}) values (${sql.join(Object.values(making.values))})
    on conflict ${conflict} do nothing returning *`
  const besides = (making.with ?? []).map(
    (statement, n) => sql`, ${sql.id(`besides_${n}`)} as (${statement})`,
  )
  const { rows } = await sql<
    ThingOf<F>
  >`with made as (${made})${besides.length > 0 ? sql.join(besides, sql``) : sql``}
    select ${source.selection} from ${fromOf(source, sql`made`)}`.execute(tx)
  return rows[0]
}
