// How identity's nouns are found and listed: Keystone's pages end at the client's limit or at ours, and say which.
import { type RawBuilder, sql } from "kysely"
import { type TString, Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import { invalid } from "../platform/fault/fault.ts"
import {
  type Abilities,
  type Expression,
  type Field,
  type Fields,
  field,
  matched,
  structure,
  type ThingOf,
  text,
} from "../platform/noun/field.ts"
import { findThing, ListQuery, listThings } from "../platform/noun/list.ts"
import { fieldsOf, type Noun, type Visible } from "../platform/noun/noun.ts"
import { type Operation, operation } from "../platform/operation/operation.ts"
import type { PolicyTarget } from "../platform/policy/rule.ts"
import { notFound } from "./faults.ts"
import { isNamed } from "./names.ts"
import { Extra, Id, Options, ResourceName, Text } from "./shapes.ts"

/** Who looks: a token of a domain sees what is in it. */
export interface Viewer {
  domainId: string | null
  projectId: string | null
  isOfSystem: boolean
}

/** For the program's own reads. */
export const everyone: Viewer = { domainId: null, projectId: null, isOfSystem: true }

export function viewerOf({ caller }: Ctx): Viewer {
  const { domainId, projectId, systemScope } = caller
  return { domainId, projectId, isOfSystem: systemScope !== null }
}

/** The domain of the caller's token is meant when none is named. */
export function ownDomainId({ caller }: Ctx): string | null {
  return caller.domainId ?? caller.projectDomainId ?? caller.userDomainId
}

export function inDomain(column: RawBuilder<unknown>) {
  return ({ domainId }: Viewer): Visible => {
    const row = domainId ? sql<boolean>`${column} = ${domainId}` : sql<boolean>`true`
    return { row, main: row, others: [] }
  }
}

const byName = [
  { key: "name", direction: "asc" },
  { key: "id", direction: "asc" },
] as const
const byId = [{ key: "id", direction: "asc" }] as const

/** Orders of lists. */
export const sorts = { byName, byId } as const

/** The id of a row; made by us unless the noun says otherwise. */
export function idField(t: string) {
  return text(sql.ref(`${t}.id`))
}

/** A name that is the same in any case. */
export function nameField(t: string) {
  const name = field("text", ResourceName, sql.ref(`${t}.name`), {
    create: "required",
    update: true,
    filter: true,
  })
  return matched(
    name,
    (values) =>
      sql<boolean>`(${sql.join([sql`false`, ...values.map((value) => isNamed(`${t}.name`, value))], sql` or `)})`,
  )
}

const written = { create: true, update: true } as const

/** Text of any length, or none. */
export function textField(expression: Expression<unknown>) {
  return field("text", Text, expression, written)
}

/** Never null: a client's null is no text. */
export function descriptionField(t: string) {
  return field("text", Type.String(), sql.ref(`${t}.description`), { ...written, input: Text })
}

/** Attributes that Keystone keeps without knowing them. */
export function extraField(t: string) {
  return structure(Extra, sql.ref(`${t}.extra`), written)
}

/** Keystone's resource options: options.ts knows them. */
export function optionsField(t: string) {
  return structure(Options, sql.ref(`${t}.options`), written)
}

/** What is said is put to what was, by the database, so that two changes at once both stay. */
export function withExtra<T extends { extra?: Record<string, unknown> }>({ extra, ...values }: T) {
  return extra === undefined ? values : { ...values, extra: sql`extra || ${JSON.stringify(extra)}::jsonb` }
}

/** Of tables that count their changes. */
export const nextGeneration = { generation: sql`generation + 1`, updated_at: sql`now()` }

/** What a filter asks a field to be equal to, when it asks so. */
export function equalOf({ filters }: ListQuery, key: string): string | undefined {
  const asked = filters?.[key]?.[0]
  return typeof asked === "string" ? asked : undefined
}

/** A part of a list. */
export interface Rows<T> {
  rows: T[]
  /** Marker of what follows; null at the end. */
  nextMarker: string | null
}

/** `within`: which of the things that the viewer sees are in the list at all. */
export async function listRows<F extends Fields>(
  ctx: Ctx,
  of: Noun<F, Viewer>,
  { filters = {}, page = {} }: ListQuery,
  within: RawBuilder<boolean> = sql`true`,
): Promise<Rows<ThingOf<F>>> {
  const most = Math.min(page.limit ?? Number.POSITIVE_INFINITY, ctx.config.identity.listLimit)
  const query = { filters, page: { ...page, limit: most + 1 }, within }
  const rows = await listThings(ctx.db, of, viewerOf(ctx), query).catch((error: unknown) => {
    // Who may not see it in the list does not learn from a marker that it is there.
    throw notFound.is(error) ? unknownMarker(page.marker ?? "") : error
  })
  const shown = rows.slice(0, most)
  return { rows: shown, nextMarker: rows.length > most ? idOf(shown.at(-1)) : null }
}

/** Every noun of identity has one, which TypeScript does not see through the mapped type. */
function idOf(thing: unknown): string | null {
  return (thing as { id: string } | undefined)?.id ?? null
}

export function unknownMarker(marker: string) {
  return invalid("marker", `The marker ${JSON.stringify(marker)} is not in the list.`)
}

/** Whoever asks. */
export async function find<F extends Fields>(
  db: DbOrTx,
  of: Noun<F, Viewer>,
  id: string,
): Promise<ThingOf<F> | null> {
  return (await findThing(db, of, everyone, id)) ?? null
}

/** For what is to be changed: held until the transaction ends. Of nouns without joins. */
export async function lock<F extends Fields>(
  tx: Tx,
  of: Noun<F, Viewer>,
  id: string,
): Promise<ThingOf<F> | null> {
  const t = sql.id(of.alias)
  const { rows } = await sql<ThingOf<F>>`select ${sql.join(fieldsOf(of, everyone))}
    from ${of.table} as ${t} where ${t}.id = ${id} for update of ${t}`.execute(tx)
  return rows[0] ?? null
}

/** Nouns with ids, as all of identity have. */
export type Identified = Fields & { readonly id: Field<TString, Abilities, true> }

/** For operations on one thing: null when there is none, or its 404 at once. */
export function loadOf<F extends Identified>(of: Noun<F, Viewer>, isLoadedFirst: boolean) {
  return async (ctx: Ctx, { id }: { id: string }): Promise<ThingOf<F> | null> => {
    const thing = await find(ctx.db, of, id)
    if (thing === null && isLoadedFirst) throw of.notFound(id)
    return thing
  }
}

/** One thing. The rule is asked also about one that is not there: 403 comes before 404 unless it is loaded first. */
export function getOf<F extends Identified>(
  of: Noun<F, Viewer>,
  rule: string,
  target: (thing: ThingOf<F> | null) => PolicyTarget = () => ({}),
  { isLoadedFirst = false } = {},
): Operation<{ id: string }, ThingOf<F>> {
  return operation<typeof Id, ThingOf<F>, ThingOf<F> | null>({
    name: `${of.name}.get`,
    input: Id,
    faults: [notFound],
    load: loadOf(of, isLoadedFirst),
    rule,
    target: (_ctx, _input, thing) => target(thing),
    run: async (_ctx, { id }, thing) => {
      if (thing === null) throw of.notFound(id)
      return thing
    },
  })
}

/** All that the caller's token sees. */
export function listOf<F extends Fields>(
  of: Noun<F, Viewer>,
  rule: string,
  target: (ctx: Ctx) => PolicyTarget = () => ({}),
): Operation<ListQuery, Rows<ThingOf<F>>> {
  return operation<typeof ListQuery, Rows<ThingOf<F>>>({
    name: `${of.name}.list`,
    input: ListQuery,
    rule,
    target,
    run: async (ctx, query) => await listRows(ctx, of, query),
  })
}
