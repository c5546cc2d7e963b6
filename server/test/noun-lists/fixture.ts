// What a service says of each of its nouns, so that `noun-lists.db.test.ts` can ask the database about its lists: how a
// big cloud's rows of it are made, who looks, and what is asked of filters whose values cannot be guessed.
import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../src/platform/db/database.ts"
import type { Fields } from "../../src/platform/noun/field.ts"
import { type ListQuery, listThings } from "../../src/platform/noun/list.ts"
import { type Noun, type Source, sourceOf } from "../../src/platform/noun/noun.ts"

/** Rows of each noun. KUMOI_TEST_FOREIGN=100000 tries more. */
export const count = Number(process.env.KUMOI_TEST_FOREIGN ?? 20_000)
/** The first of them are the member's; things shared with him are the last ones. */
export const seen = 5

/** For `insert … select … from ${rows}`: `g` is the number of the row, from 1. */
export const rows = sql`generate_series(1, ${sql.lit(count)}::integer) g`
/** The project `me` for the first few, then ten rows a project. */
export const owner = sql`case when g <= ${sql.lit(seen)} then 'me' else 'p' || (g / 10) end`
/** Each a second later than the one before. */
export const at = sql`timestamptz '2026-01-01' + g * interval '1 second'`
/** Each fourth is called `default`, as what all have. */
export const name = sql`case g % 4 when 0 then 'default' else 'name-' || g end`
/** The id of the noun's row with that number; `g`: of the same number. */
export const id = (noun: string, number = "g") =>
  sql`md5(${sql.lit(noun)} || (${sql.raw(number)})::text)::uuid`

/** Why a filter needs no index in the list of the whole cloud. */
export const same = "most have the same value: a page is soon full"
export const nobody = "nobody looks for it in the whole cloud"

export type Row = Readonly<Record<string, unknown>>

/** One who looks at a noun's lists. */
export interface Look {
  source: Source
  list(db: DbOrTx, query: ListQuery): Promise<Row[]>
}

/** What to ask of a filter: one value that some have, and one that nobody has. */
export type Values = Readonly<Record<string, readonly string[]>>

export interface Lists {
  noun: string
  /** Statements, in this order. The rows of the fixtures before are there. */
  rows: readonly RawBuilder<unknown>[]
  admin: Look
  member?: Look
  stranger?: Look
  values: Values
  within: Values
  unindexed: Readonly<Record<string, readonly string[]>>
}

/** A noun that is not tried. */
export interface Few {
  noun: string
  few: string
}

export type NounFixture = Lists | Few

interface Said<V> {
  rows: readonly RawBuilder<unknown>[]
  /** Who sees everything. */
  admin: V
  /** Of project `me`; absent where everybody sees everything. */
  member?: V
  /** Who has no project and sees what is everybody's, of which there is one at the most. */
  stranger?: V
  /** By the field's key, where the guess by its kind is not the right one. Filters without a kind need them. */
  values?: Values
  /** Filters that every list of it has, for a noun that is listed within something only: `{ imageId: […] }`. */
  within?: Values
  /**
   * Filters that have no index in the list of the whole cloud, by the reason. Who sees his own rows needs none: each
   * filter of his list must be quick without exception.
   */
  unindexed?: Readonly<Record<string, readonly string[]>>
}

/** A noun whose lists must cost what they show. */
export function listsOf<F extends Fields, V>(of: Noun<F, V>, said: Said<V>): Lists {
  const lookOf = (viewer: V): Look => ({
    source: sourceOf(of, viewer),
    list: async (db, query): Promise<Row[]> => await listThings(db, of, viewer, query),
  })
  return {
    noun: of.name,
    rows: said.rows,
    admin: lookOf(said.admin),
    ...(said.member === undefined ? {} : { member: lookOf(said.member) }),
    ...(said.stranger === undefined ? {} : { stranger: lookOf(said.stranger) }),
    values: said.values ?? {},
    within: said.within ?? {},
    unindexed: said.unindexed ?? {},
  }
}

/** A noun of which no cloud has many, or that no list reads by itself; `why` says which. */
export function fewOf<F extends Fields, V>(of: Noun<F, V>, why: string): Few {
  return { noun: of.name, few: why }
}
