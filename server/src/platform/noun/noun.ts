// A noun is declared once: its table, its fields, who sees which rows. From that come the types of things and inputs,
// filters, order and pages of its lists, and what the schema test asks of its indexes.
import { type AliasedRawBuilder, createQueryId, PostgresQueryCompiler, type RawBuilder, sql } from "kysely"
import type { TUnsafe } from "typebox"
import type { FaultDefinition } from "../fault/fault.ts"
import type { SortKey } from "../http/paging.ts"
import {
  type ChangesOf,
  type CreateOf,
  changesSchema,
  createSchema,
  expressionOf,
  type Field,
  type Fields,
  publicName,
  type ThingOf,
} from "./field.ts"

/** Which rows somebody may see: as a condition on one row, and as ranges that indexes give. */
export interface Visible {
  /** Whether the viewer sees the row. */
  row: RawBuilder<boolean>
  /** Rows that are read in the list's order, page by page: all, or the viewer's own. */
  main: RawBuilder<boolean>
  /** The others; no row is in two. Each is found by an index. */
  others: readonly RawBuilder<boolean>[]
}

const all = sql<boolean>`true`

export const visibleToAll: Visible = { row: all, main: all, others: [] }

export interface NounDefinition<F extends Fields, V> {
  /** `network.floating_ip`: service and noun, as operations, faults and events name it. */
  name: string
  /** `network.floating_ip` */
  table: RawBuilder<unknown>
  /** The name that the fields' SQL has the table by: `f`. */
  alias: string
  /** What the fields need besides. */
  joins?: RawBuilder<unknown>
  fields: F
  /** The field that names one thing, unique among what one viewer sees: every order ends with it. Default: `id`. */
  key?: keyof F & string
  /** Of lists for which no other order is asked: there are indexes for it. Default: oldest first. */
  order?: readonly { key: keyof F & string; direction: SortKey["direction"] }[]
  /** What the viewer may see. */
  visible: (viewer: V) => Visible
  /** Told for an id that names nothing that the viewer sees. */
  notFound: FaultDefinition<[id: string]>
  /** The same for the marker of a list. Default: `notFound`. */
  markerNotFound?: (id: string) => Error
}

export interface Noun<F extends Fields = Fields, V = never> extends NounDefinition<F, V> {
  /** What operations take at creation. */
  readonly create: TUnsafe<CreateOf<F>>
  /** What operations take for a change. */
  readonly changes: TUnsafe<ChangesOf<F>>
}

/** The thing as operations give it: `type Network = Thing<typeof network>`. */
export type Thing<N> = N extends Noun<infer F, never> ? ThingOf<F> : never
export type Create<N> = N extends Noun<infer F, never> ? CreateOf<F> : never
export type Changes<N> = N extends Noun<infer F, never> ? ChangesOf<F> : never

const registry = new Map<string, Noun<Fields, never>>()

/** Every noun of the services that are loaded; the schema test asks the database about each. */
export function declaredNouns(): readonly Noun<Fields, never>[] {
  return [...registry.values()]
}

export function noun<F extends Fields, V>(definition: NounDefinition<F, V>): Noun<F, V> {
  const { name, fields } = definition
  if (registry.has(name)) throw new Error(`noun ${name} is declared twice`)
  const made: Noun<F, V> = { ...definition, create: createSchema(fields), changes: changesSchema(fields) }
  registry.set(name, made)
  return made
}

/** A noun as one viewer sees it: what the statements are made from. */
export interface Source {
  table: RawBuilder<unknown>
  alias: string
  joins: RawBuilder<unknown>
  fields: Fields
  key: string
  order: readonly SortKey[]
  /** SQL of each field, for this viewer. */
  columns: Readonly<Record<string, RawBuilder<unknown>>>
  /** Of the fields that are read. */
  selection: RawBuilder<unknown>
  visible: Visible
  markerNotFound: (id: string) => Error
}

const nothing = sql``

/** `only`: the fields that are read; absent: all. */
export function sourceOf<F extends Fields, V>(
  of: Noun<F, V>,
  viewer: V,
  only?: readonly (keyof ThingOf<F>)[],
): Source {
  const { key = "id" } = of
  const columns = columnsOf(of, viewer)
  return {
    table: of.table,
    alias: of.alias,
    joins: of.joins ?? nothing,
    fields: of.fields,
    key,
    order: of.order ?? [
      { key: "createdAt", direction: "asc" },
      { key, direction: "asc" },
    ],
    columns,
    selection: sql.join(shownOf(of.fields, columns, only)),
    visible: of.visible(viewer),
    markerNotFound: of.markerNotFound ?? of.notFound,
  }
}

/** Public name → key of the fields that lists may be sorted by, or filtered. */
export function keysOf(fields: Fields, ability: "sort" | "filter"): Readonly<Record<string, string>> {
  const known = keys[ability].get(fields)
  if (known) return known
  const made = Object.fromEntries(
    Object.entries(fields)
      .filter(([, { abilities }]) => abilities[ability])
      .map(([key, field]) => [publicName(key, field), key]),
  )
  keys[ability].set(fields, made)
  return made
}

/** Every list asks for them. */
const keys = {
  sort: new WeakMap<Fields, Readonly<Record<string, string>>>(),
  filter: new WeakMap<Fields, Readonly<Record<string, string>>>(),
}

/** Fields with a policy rule of their own, key → public name, for those who write or read them. */
export function ruledFields(fields: Fields, how: "write" | "read"): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, { abilities }]) => abilities.rule === how || abilities.rule === "both")
      .map(([key, field]) => [key, publicName(key, field)]),
  )
}

/** The thing's fields for a statement of Kysely's that has the table by the noun's alias: `.returning(fieldsOf(…))`. */
export function fieldsOf<F extends Fields, V>(
  of: Noun<F, V>,
  viewer: V,
): readonly AliasedRawBuilder<unknown, string>[] {
  return shownOf(of.fields, columnsOf(of, viewer))
}

/** The thing as JSON, in statements that have the table by the noun's alias; times are texts then. */
export function objectOf<F extends Fields, V>(of: Noun<F, V>, viewer: V): RawBuilder<unknown> {
  const columns = columnsOf(of, viewer)
  const members = Object.entries(of.fields).flatMap(([key, { isShown }]) =>
    isShown ? [sql`${sql.lit(key)}, ${columns[key]}`] : [],
  )
  return sql`jsonb_build_object(${sql.join(members)})`
}

const compiler = new PostgresQueryCompiler()

/** What depends on nobody and has no values, written once and not for each statement. */
interface Written {
  texts: Readonly<Record<string, string>>
  columns: Source["columns"]
  /** Keys of the fields that depend on who looks. */
  others: readonly string[]
  /** All that is shown and written. */
  shown: readonly AliasedRawBuilder<unknown, string>[]
}

const written = new WeakMap<Fields, Written>()

function writtenOf(fields: Fields): Written {
  let made = written.get(fields)
  if (!made) {
    const texts = Object.fromEntries(
      Object.entries(fields).flatMap(([key, { sql: expression }]): [string, string][] => {
        if (expression === null || typeof expression === "function") return []
        const text = compiler.compileQuery(expression.toOperationNode(), createQueryId())
        return text.parameters.length === 0 ? [[key, text.sql]] : []
      }),
    )
    const columns = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, sql.raw(text)]))
    const others = Object.keys(fields).filter((key) => texts[key] === undefined)
    made = {
      texts,
      columns,
      others,
      shown: oneOf(
        texts,
        Object.keys(fields).filter((key) => fields[key]?.isShown),
      ),
    }
    written.set(fields, made)
  }
  return made
}

function columnsOf<F extends Fields, V>({ fields }: Noun<F, V>, viewer: V): Source["columns"] {
  const { columns, others } = writtenOf(fields)
  if (others.length === 0) return columns
  const made: Record<string, RawBuilder<unknown>> = { ...columns }
  for (const key of others) made[key] = expressionOf(fields[key] as Field, viewer)
  return made
}

function shownOf(
  fields: Fields,
  columns: Source["columns"],
  only?: readonly PropertyKey[],
): readonly AliasedRawBuilder<unknown, string>[] {
  const { texts, others, shown } = writtenOf(fields)
  const isShown = (key: string) => fields[key]?.isShown && (!only || only.includes(key))
  const fixed = only ? oneOf(texts, Object.keys(fields).filter(isShown)) : shown
  const rest = others.flatMap((key) => (isShown(key) && columns[key] ? [columns[key].as(key)] : []))
  return rest.length > 0 ? [...fixed, ...rest] : fixed
}

/** What is written already is one expression with commas in it: a statement of fifty columns has not fifty parts. */
function oneOf(
  texts: Written["texts"],
  shown: readonly string[],
): readonly AliasedRawBuilder<unknown, string>[] {
  const fixed = shown.filter((key) => texts[key] !== undefined)
  const last = fixed.pop()
  if (last === undefined) return []
  const before = fixed.map((key) => `${texts[key]} as "${key}", `).join("")
  return [sql.raw(`${before}${texts[last]}`).as(last)]
}
