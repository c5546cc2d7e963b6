// The fields of a noun: what each is in SQL, as a value, and what clients may do with it.
import { type RawBuilder, sql } from "kysely"
import {
  type Static,
  type TArray,
  type TBoolean,
  type TInteger,
  type TNull,
  type TSchema,
  type TString,
  type TUnion,
  type TUnsafe,
  Type,
} from "typebox"
import { Format } from "typebox/format"
import { matchesPattern } from "../db/text-pattern.ts"
import { isUuid } from "../ids/ids.ts"
import * as make from "../schema/make.ts"

// What PostgreSQL takes for one, whatever its version: RFC 9562 asks no more of who reads it.
Format.Set("uuid", isUuid)

/** How values of filters become what the column is. */
export type ColumnKind =
  | "text"
  | "uuid"
  | "boolean"
  | "integer"
  | "address"
  | "cidr"
  | "mac"
  | "time"
  /** Not to be compared: lists, objects. */
  | "other"

export type Match = (values: readonly string[]) => RawBuilder<boolean>

/** SQL of a field; a function where it depends on who looks. */
export type Expression<V> = RawBuilder<unknown> | ((viewer: V) => RawBuilder<unknown>)

/** What clients may do with a field. What is not said they may not. */
export interface Abilities {
  /** Given at creation; `required`: always. */
  readonly create?: true | "required"
  /** Changed later. */
  readonly update?: true
  readonly filter?: true
  readonly sort?: true
  /** The public name, where it is more than the key in snake_case: `router:external`. */
  readonly name?: string
  /** Of the value as clients give it, where that is not how it is read. */
  readonly input?: TSchema
  /** For rules and for other fields only: no wire shows it. */
  readonly internal?: true
  /** It has a policy rule of its own (`create_network:shared`) for those who write it, read it, or both. */
  readonly rule?: "write" | "read" | "both"
}

export interface Field<
  S extends TSchema = TSchema,
  A extends Abilities = Abilities,
  IsShown extends boolean = boolean,
  // biome-ignore lint/suspicious/noExplicitAny: a field that asks nothing of its viewer is one for any viewer
  V = any,
> {
  readonly kind: ColumnKind
  /** Of the value, as operations take and give it. */
  readonly schema: S
  /** Null for what is only an input or only a filter. */
  readonly sql: Expression<V> | null
  readonly abilities: A
  /** For filters that are more than equality with one of the values. */
  readonly match?: Match
  readonly isShown: IsShown
  /** May be null in the database: sorted first then. */
  readonly isNullable?: true
  /** Its filter is a regular expression of the caller's: see `withPatterns`. */
  readonly isPattern?: true
}

type Made<S extends TSchema, A extends Abilities, V> = Field<S, A, true, V>

/** The common maker: any schema over any expression. */
export function field<S extends TSchema, const A extends Abilities = Record<never, never>, V = unknown>(
  kind: ColumnKind,
  schema: S,
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<S, A, V> {
  return { kind, schema, sql: expression, abilities, isShown: true }
}

interface Length {
  /** Characters at the most; 255 when not said. */
  readonly max?: number
}

export function text<const A extends Abilities & Length = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TString, A, V> {
  return field("text", Type.String({ maxLength: abilities.max ?? 255 }), expression, abilities)
}

/** Text of a few words, without a cast where they are used. */
export function word<const W extends string, const A extends Abilities = Record<never, never>, V = unknown>(
  words: readonly W[],
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TUnsafe<W>, A, V> {
  return field("text", make.word(words), expression, abilities)
}

export function uuid<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TString, A, V> {
  return field("uuid", Type.String({ format: "uuid" }), expression, abilities)
}

export function boolean<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TBoolean, A, V> {
  return field("boolean", Type.Boolean(), expression, abilities)
}

interface Range {
  readonly min?: number
}

export function integer<const A extends Abilities & Range = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TInteger, A, V> {
  const range = abilities.min === undefined ? {} : { minimum: abilities.min }
  return field("integer", Type.Integer(range), expression, abilities)
}

/** An IP address, as PostgreSQL's inet. */
export function address<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TString, A, V> {
  return field("address", Type.String({ maxLength: 64 }), expression, abilities)
}

export function cidr<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TString, A, V> {
  return field("cidr", Type.String({ maxLength: 64 }), expression, abilities)
}

export function mac<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TString, A, V> {
  return field("mac", Type.String({ maxLength: 32 }), expression, abilities)
}

export function time<const A extends Abilities = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TUnsafe<Date>, A, V> {
  return field("time", Type.Unsafe<Date>({ type: "string", format: "date-time" }), expression, abilities)
}

export function texts<const A extends Abilities & Length = Record<never, never>, V = unknown>(
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<TArray<TString>, A, V> {
  return field("other", Type.Array(Type.String({ maxLength: abilities.max ?? 255 })), expression, abilities)
}

/** A value with a structure of its own (jsonb, lists). */
export function structure<S extends TSchema, const A extends Abilities = Record<never, never>, V = unknown>(
  schema: S,
  expression: Expression<V>,
  abilities: A = {} as A,
): Made<S, A, V> {
  return field("other", schema, expression, abilities)
}

export function nullable<S extends TSchema, A extends Abilities, V>(
  inner: Field<S, A, true, V>,
): Made<TUnion<[S, TNull]>, A, V> {
  return { ...inner, schema: make.nullable(inner.schema), isNullable: true }
}

/** With a comparison of its own for filters. */
export function matched<F extends Field>(inner: F, match: Match): F {
  return { ...inner, match }
}

/**
 * Its filter is a regular expression over the text of it. Who lists by such a filter runs the list `withPatterns`, of
 * `patternsIn` the filters.
 */
export function byPattern<F extends Field>(inner: F, textOf: RawBuilder<unknown>): F {
  const match: Match = (patterns) => {
    const all = patterns.map((pattern) => matchesPattern(textOf, pattern))
    return all.length > 0 ? sql<boolean>`(${sql.join(all, sql` and `)})` : sql<boolean>`false`
  }
  return { ...inner, match, isPattern: true }
}

/** Only for filters, under its public name: not read. */
export function filterOnly(
  match: Match,
  name?: string,
): Field<TSchema, { readonly filter: true; readonly name?: string }, false> {
  const abilities = { filter: true, ...(name === undefined ? {} : { name }) } as const
  return { kind: "other", schema: Type.Unknown(), sql: null, abilities, match, isShown: false }
}

/** Lists are filtered or sorted by it: not read. */
export function onlyAsked<S extends TSchema, A extends Abilities, V>(
  inner: Field<S, A, true, V>,
): Field<S, A, false, V> {
  return { ...inner, isShown: false }
}

/** Only for inputs: what it says is kept elsewhere. */
export function inputOnly<S extends TSchema, const A extends Abilities>(
  schema: S,
  abilities: A,
): Field<S, A, false> {
  return { kind: "other", schema, sql: null, abilities, isShown: false }
}

export type Fields = Readonly<Record<string, Field>>

type Shown<F extends Fields> = { [K in keyof F]: F[K]["isShown"] extends true ? K : never }[keyof F]

/** The thing as operations give it. */
export type ThingOf<F extends Fields> = { [K in Shown<F>]: Static<F[K]["schema"]> }

type Required_<F extends Fields> = {
  [K in keyof F]: F[K]["abilities"] extends { create: "required" } ? K : never
}[keyof F]
type Optional_<F extends Fields> = {
  [K in keyof F]: F[K]["abilities"] extends { create: true } ? K : never
}[keyof F]
type Updated<F extends Fields> = {
  [K in keyof F]: F[K]["abilities"] extends { update: true } ? K : never
}[keyof F]

/** The value as clients give it. */
type Given<F extends Field> = F["abilities"] extends { input: infer I extends TSchema }
  ? Static<I>
  : Static<F["schema"]>

/** What is given at creation. */
export type CreateOf<F extends Fields> = { [K in Required_<F>]: Given<F[K]> } & {
  [K in Optional_<F>]?: Given<F[K]>
}

/** What may be changed; what is not said stays. */
export type ChangesOf<F extends Fields> = { [K in Updated<F>]?: Given<F[K]> }

export function createSchema<F extends Fields>(fields: F): TUnsafe<CreateOf<F>> {
  const properties = Object.entries(fields).flatMap(([key, { schema, abilities }]): [string, TSchema][] => {
    if (!abilities.create) return []
    const given = abilities.input ?? schema
    return [[key, abilities.create === "required" ? given : Type.Optional(given)]]
  })
  return Type.Unsafe<CreateOf<F>>(Type.Object(Object.fromEntries(properties)))
}

export function changesSchema<F extends Fields>(fields: F): TUnsafe<ChangesOf<F>> {
  const properties = Object.entries(fields)
    .filter(([, { abilities }]) => abilities.update)
    .map(([key, { schema, abilities }]): [string, TSchema] => [key, Type.Optional(abilities.input ?? schema)])
  return Type.Unsafe<ChangesOf<F>>(Type.Object(Object.fromEntries(properties)))
}

/** `routerExternal` → `router:external` where the field says so, else `router_external`. */
export function publicName(key: string, { abilities }: Pick<Field, "abilities">): string {
  return abilities.name ?? snakeCase(key)
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** Columns of what fields are set to, where each has its key's name: `isEnabled` → `is_enabled`. Without the undefined. */
export function columnsOf(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const given = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given.map(([key, value]) => [snakeCase(key), value]))
}

export function expressionOf<V>({ sql: expression }: Field, viewer: V): RawBuilder<unknown> {
  if (expression === null) return sql`null`
  return typeof expression === "function" ? expression(viewer) : expression
}
