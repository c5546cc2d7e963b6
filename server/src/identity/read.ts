// How identity's nouns are found and listed: Keystone's pages end at the client's limit or at ours, and say which.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../platform/context/context.ts"
import type { DbOrTx, Tx } from "../platform/db/database.ts"
import {
  type Expression,
  type Fields,
  field,
  matched,
  structure,
  type ThingOf,
  text,
} from "../platform/noun/field.ts"
import { findThing, type ListQuery } from "../platform/noun/list.ts"
import { fieldsOf, type Noun, type Visible } from "../platform/noun/noun.ts"
import { type Listed, listPage } from "../platform/noun/page.ts"
import { isNamed } from "./names.ts"
import { Extra, Options, ResourceName, Text } from "./shapes.ts"

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

/** How lists are read: what is in the caller's domain, so many at the most. */
export const asListed = {
  viewer: viewerOf,
  most: ({ config }: Ctx) => config.identity.listLimit,
} as const

/** `within`: which of the things that the viewer sees are in the list at all. */
export async function listRows<F extends Fields>(
  ctx: Ctx,
  of: Noun<F, Viewer>,
  query: ListQuery,
  within?: RawBuilder<boolean>,
): Promise<Listed<ThingOf<F>>> {
  const asked = within ? { ...query, within } : query
  return await listPage(ctx.db, of, viewerOf(ctx), asked, asListed.most(ctx))
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

/** How one thing is found: whosever it is, for the rule decides, and is asked first, as Keystone does. */
export const ruleFirst = { viewer: () => everyone, isRefusedFirst: true } as const
/** The same of nouns whose 404 comes first in Keystone too. */
export const foundFirst = { viewer: () => everyone } as const
