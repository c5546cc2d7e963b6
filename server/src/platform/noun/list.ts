// Reads nouns: one thing, some, a page of what the viewer sees. One statement each.
import { type RawBuilder, sql } from "kysely"
import { type TUnsafe, Type } from "typebox"
import type { DbOrTx } from "../db/database.ts"
import { pageClauses } from "../db/page.ts"
import type { NamedPattern } from "../db/text-pattern.ts"
import type { Page, SortKey } from "../http/paging.ts"
import { isUuid } from "../ids/ids.ts"
import { canonicalAddress, canonicalMac, formatPrefix, parsePrefix } from "../net/address.ts"
import { type ColumnKind, type Fields, publicName, type ThingOf } from "./field.ts"
import { type Noun, type Source, sourceOf } from "./noun.ts"

const ordered = ["equal", "unequal", "above", "atLeast", "below", "atMost"] as const
/** Of texts; those with an `i` in any case. */
export const textComparators = [
  "contains",
  "startsWith",
  "endsWith",
  "iContains",
  "iStartsWith",
  "iEndsWith",
] as const
type Ordered = (typeof ordered)[number]
export type TextComparator = (typeof textComparators)[number]
export type Comparator = Ordered | TextComparator

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

/** Without those that a request does not have. */
export function givenFilters(
  asked: Readonly<Record<string, readonly string[] | readonly Compared[] | undefined>>,
): Filters {
  const given: Record<string, Filters[string]> = {}
  for (const [key, values] of Object.entries(asked)) if (values !== undefined) given[key] = values
  return given
}

/** What a list takes, of whatever noun. Its names were read by a wire, by what the noun says may be asked. */
export interface ListQuery {
  filters?: Filters
  page?: Partial<Page>
}
const ComparedInput = Type.Object({
  by: Type.Union([...ordered, ...textComparators].map((word) => Type.Literal(word))),
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
      return isOneOf(column, values.filter(isUuid), "uuid")
    case "boolean": {
      const isTrue = values.includes("true")
      if (isTrue && values.some((v) => v !== "true")) return sql<boolean>`${column} is not null`
      return isTrue ? sql<boolean>`${column}` : sql<boolean>`not ${column}`
    }
    case "integer":
      return isOneOf(column, values.map(Number).filter(Number.isSafeInteger), "bigint")
    case "address":
      return isOneOf(column, addressesOf(values), "inet")
    case "cidr":
      return isOneOf(column, known(values, canonicalPrefix), "cidr")
    case "mac":
      return isOneOf(column, known(values, canonicalMac), "macaddr")
    default:
      return isOneOf(column, values, "text")
  }
}

/** One value alone stands without a list: then an index that goes on with the list's order gives its page. */
function isOneOf(
  column: RawBuilder<unknown>,
  values: readonly (string | number)[],
  type: "uuid" | "bigint" | "inet" | "cidr" | "macaddr" | "text",
): RawBuilder<boolean> {
  const cast = sql.raw(type)
  if (values.length === 1) return sql<boolean>`${column} = ${values[0]}::${cast}`
  return sql<boolean>`${column} = any(${values}::${cast}[])`
}

function isCompared(asked: readonly string[] | readonly Compared[]): asked is readonly Compared[] {
  return typeof asked[0] === "object"
}

const operators: Readonly<Record<Ordered, RawBuilder<unknown>>> = {
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
  if (isOfText(by))
    return sql<boolean>`${column} ${by.startsWith("i") ? sql`ilike` : sql`like`} ${pattern(by, String(value))}`
  if (kind === "time") return comparedTime(column, by, new Date(value))
  if (kind === "integer") return sql<boolean>`${column} ${operators[by]} ${countable(Number(value))}::bigint`
  return sql<boolean>`${column} ${operators[by]} ${value}`
}

/** The column may be a narrow one; no column has more than numbers of a program have. */
function countable(value: number): number {
  return Math.min(Math.max(value, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER)
}

const secondMs = 1_000

/** Times as clients see them, in whole seconds; the column stands bare, for its index. */
function comparedTime(column: RawBuilder<unknown>, by: Ordered, time: Date): RawBuilder<boolean> {
  const from = new Date(Math.ceil(time.getTime() / secondMs) * secondMs)
  const end = new Date((Math.floor(time.getTime() / secondMs) + 1) * secondMs)
  const within = sql<boolean>`(${column} >= ${from} and ${column} < ${end})`
  switch (by) {
    case "equal":
      return within
    case "unequal":
      return sql<boolean>`not ${within}`
    case "above":
      return sql<boolean>`${column} >= ${end}`
    case "atLeast":
      return sql<boolean>`${column} >= ${from}`
    case "below":
      return sql<boolean>`${column} < ${from}`
    case "atMost":
      return sql<boolean>`${column} < ${end}`
  }
}

function isOfText(by: Comparator): by is TextComparator {
  return (textComparators as readonly string[]).includes(by)
}

function pattern(by: TextComparator, text: string): string {
  const escaped = text.replaceAll(/[\\%_]/g, (char) => `\\${char}`)
  const [start, end] = [/startsWith/i.test(by) ? "" : "%", /endsWith/i.test(by) ? "" : "%"]
  return start + escaped + end
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

const all = sql<boolean>`true`

/** What a service asks besides. */
export interface Besides {
  /** Of the rows by the noun's alias. */
  also?: readonly RawBuilder<boolean>[]
  /** The same, where a marker must be too. */
  within?: RawBuilder<boolean>
  /** Rows that are passed over: for an API whose pages are counted. */
  offset?: number
}

/**
 * Rows of a page. A limit of null is no limit: for the program's own reads. `only`: the fields that are read, where a
 * page may be long.
 */
export async function listThings<F extends Fields, V, K extends keyof ThingOf<F>>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  query: ListQuery & Besides & { only: readonly K[] },
): Promise<Pick<ThingOf<F>, K>[]>
export async function listThings<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  query?: ListQuery & Besides,
): Promise<ThingOf<F>[]>
export async function listThings<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  query: ListQuery & Besides & { only?: readonly (keyof ThingOf<F>)[] } = {},
): Promise<ThingOf<F>[]> {
  const { page = {}, within, only } = query
  const source = sourceOf(of, viewer, only)
  const sorts = sortsOf(source, query)
  const marker = page.marker ? await markerRow(db, source, page.marker, sorts, within) : null
  const { rows } = await listStatement<ThingOf<F>>(source, query, marker).execute(db)
  return page.isReverse ? rows.reverse() : rows
}

/** The regular expressions among the filters, by public name: what `withPatterns` takes. */
export function patternsIn({ fields }: { fields: Fields }, filters: Filters): NamedPattern[] {
  return Object.entries(filters).flatMap(([key, values]) => {
    const field = fields[key]
    if (!field?.isPattern) return []
    return values.map((value): NamedPattern => [publicName(key, field), String(value)])
  })
}

export function listStatement<T>(
  source: Source,
  query: ListQuery & Besides,
  marker: Readonly<Record<string, unknown>> | null,
): RawBuilder<T> {
  const { filters = {}, page = {}, also = [], within = all, offset = 0 } = query
  const { key } = source
  const sorts = sortsOf(source, query)
  const order = { sorts: [...sorts], isReverse: page.isReverse ?? false }
  const keys = keysRead(source, sorts)
  const { where, orderBy } = pageClauses(order, sortColumns(source, keys, columnOf), key, marker)
  const limitOf = (more: number) =>
    page.limit === null || page.limit === undefined ? sql`` : sql`limit ${page.limit + more}`
  const cut = offset === 0 ? limitOf(0) : sql`${limitOf(0)} offset ${offset}`
  const conditions = Object.entries(filters).map(([name, values]) => matches(source, name, values))
  const asked = sql.join([...conditions, ...also, within, where], sql` and `)
  const { main, others } = source.visible
  if (others.length === 0) {
    return sql<T>`select ${source.selection} from ${fromOf(source)}
      where ${main} and ${asked} order by ${orderBy} ${cut}`
  }
  // The ids of the page first: its own rows by an index in that order, the few others at once.
  const read = sql.join(keys.map((name) => sql`${columnOf(source, name)} as ${sql.id(name)}`))
  const otherRows = others.map(
    (range) => sql`select ${read} from ${fromOf(source)} where ${range} and ${asked}`,
  )
  const { orderBy: pageOrder } = pageClauses(order, sortColumns(source, keys, keyOf), key, null)
  return sql<T>`with others as materialized (${sql.join(otherRows, sql` union all `)}),
    page as materialized (select * from (
        (select ${read} from ${fromOf(source)} where ${main} and ${asked} order by ${orderBy} ${limitOf(offset)})
        union all select * from others) page
      order by ${pageOrder} ${cut})
    select thing.* from page cross join lateral (select ${source.selection} from ${fromOf(source)}
      where ${columnOf(source, key)} = ${keyOf(source, key)} offset 0) thing order by ${pageOrder}`
}

function sortsOf({ order }: Source, { page }: ListQuery): readonly SortKey[] {
  return page?.sorts && page.sorts.length > 0 ? page.sorts : order
}

/** What the order of a page is made of. */
function keysRead(source: Source, sorts: readonly SortKey[]): string[] {
  return [...new Set([...sorts.map(({ key }) => key), source.key])]
}

/** The source's table with its joins; or other rows of that table in its place. */
function fromOf(source: Source, table = source.table): RawBuilder<unknown> {
  return sql`${table} as ${sql.id(source.alias)} ${source.joins}`
}

function sortColumns(
  source: Source,
  keys: readonly string[],
  expression: (source: Source, key: string) => RawBuilder<unknown>,
) {
  return Object.fromEntries(
    keys.map((key) => [
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

export async function markerRow(
  db: DbOrTx,
  source: Source,
  id: string,
  sorts: readonly SortKey[],
  within = all,
): Promise<Record<string, unknown>> {
  if (!isIdOf(source, id)) throw source.markerNotFound(id)
  // Times as text: a Date has no microseconds, and the comparison needs them.
  const read = keysRead(source, sorts).map((key) => {
    const value = columnOf(source, key)
    return sql`${source.fields[key]?.kind === "time" ? sql`(${value})::text` : value} as ${sql.id(key)}`
  })
  const { rows } = await sql<Record<string, unknown>>`select ${sql.join(read)} from ${fromOf(source)}
    where ${isThing(source, id)} and ${within}`.execute(db)
  if (!rows[0]) throw source.markerNotFound(id)
  return rows[0]
}

/** Whether the database could have it for an id: text that is none would be an error there. */
function isIdOf({ fields, key }: Source, id: string): boolean {
  const kind = fields[key]?.kind
  if (kind === "integer") return /^-?\d+$/.test(id) && Number.isSafeInteger(Number(id))
  return kind === "uuid" ? isUuid(id) : !id.includes("\0")
}

function isThing(source: Source, id: string): RawBuilder<boolean> {
  return sql<boolean>`${source.visible.row} and ${columnOf(source, source.key)} = ${id}`
}

/** How many the list has on all its pages: it reads them all. */
export async function countThings<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  filters: Filters = {},
): Promise<number> {
  const source = sourceOf(of, viewer)
  const conditions = Object.entries(filters).map(([name, values]) => matches(source, name, values))
  const asked = sql.join([...conditions, source.visible.row], sql` and `)
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${fromOf(source)}
    where ${asked}`.execute(db)
  return rows[0]?.count ?? 0
}

/** The one thing with that id, when the viewer may see it. */
export async function findThing<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  id: string,
): Promise<ThingOf<F> | undefined> {
  const source = sourceOf(of, viewer)
  if (!isIdOf(source, id)) return undefined
  const { rows } = await sql<ThingOf<F>>`select ${source.selection} from ${fromOf(source)}
    where ${isThing(source, id)}`.execute(db)
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
  /** Column → value; what is undefined the database fills. */
  values: Columns
  /** What is made with it; the row is `made`. The answer does not show it yet. */
  with?: readonly RawBuilder<unknown>[]
  /** The one constraint that a row there already may break; absent: any. Others are errors. */
  constraint?: string
}

type Columns = Readonly<Record<string, unknown>>

/** Makes a row and reads it, in one statement; undefined when something that may be there once is there already. */
export async function insertThing<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  making: Making,
): Promise<ThingOf<F> | undefined> {
  return (await insertThingWith(db, of, viewer, making, sql<object>`select where false`))?.thing
}

/** The same with one more statement, such as one that takes something for the `made` row, and its first row. */
export async function insertThingWith<F extends Fields, V, A extends object>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  making: Making,
  besides: RawBuilder<A>,
): Promise<{ thing: ThingOf<F>; beside: A | null } | undefined> {
  const source = sourceOf(of, viewer)
  const given = givenOf(making.values)
  const names = sql.join(given.map(([name]) => sql.id(name)))
  const conflict = making.constraint ? sql`on constraint ${sql.id(making.constraint)}` : sql``
  const made = sql`insert into ${source.table} (${names}) values (${sql.join(given.map(([, value]) => value))})
    on conflict ${conflict} do nothing returning *`
  const others = (making.with ?? []).map((statement, n) => sql`, ${sql.id(`besides_${n}`)} as (${statement})`)
  const { rows } = await sql<
    ThingOf<F> & { $beside: A | null }
  >`with made as (${made})${others.length > 0 ? sql.join(others, sql``) : sql``}, beside as (${besides})
    select ${source.selection}, (select to_jsonb(b) from beside b limit 1) as "$beside"
    from ${fromOf(source, sql`made`)}`.execute(db)
  const [row] = rows
  if (!row) return undefined
  const { $beside: beside, ...thing } = row
  // What is left of the row is what the noun's own columns are.
  return { thing: thing as unknown as ThingOf<F>, beside }
}

/** Changes the row and reads it, in one statement; undefined when the viewer sees none. What is undefined stays. */
export async function updateThing<F extends Fields, V>(
  db: DbOrTx,
  of: Noun<F, V>,
  viewer: V,
  id: string,
  values: Columns,
): Promise<ThingOf<F> | undefined> {
  const source = sourceOf(of, viewer)
  if (!isIdOf(source, id)) return undefined
  const given = givenOf(values)
  if (given.length === 0) return await findThing(db, of, viewer, id)
  const alias = sql.id(source.alias)
  const set = sql.join(given.map(([name, value]) => sql`${sql.id(name)} = ${value}`))
  const { rows } = await sql<ThingOf<F>>`with changed as (update ${source.table} as ${alias} set ${set}
      where ${isThing(source, id)} returning ${alias}.*)
    select ${source.selection} from ${fromOf(source, sql`changed`)}`.execute(db)
  return rows[0]
}

function givenOf(values: Columns): [string, unknown][] {
  return Object.entries(values).filter(([, value]) => value !== undefined)
}
