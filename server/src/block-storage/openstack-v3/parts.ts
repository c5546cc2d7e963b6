// Parts that many bodies and lists of this API share.
import { type TProperties, type TSchema, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { checkJson, parsedOrNull } from "../../platform/http/json.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import { pageUrl, readPage } from "../../platform/http/paging.ts"
import { booleanWord, queryAll, queryBoolean, queryInteger } from "../../platform/http/query.ts"
import type { JsonSchema, WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/noun/field.ts"
import type { Filters } from "../../platform/noun/list.ts"
import { keysOf } from "../../platform/noun/noun.ts"
import type { Listed } from "../../platform/noun/page.ts"
import { filterSchemas, many, pageQuery, querySchema, sortNames } from "../../platform/noun/query-schema.ts"
import { closed, keyed, mapOf, typed } from "../../platform/schema/make.ts"
import { inputInvalid } from "../faults.ts"
import { isAdmin } from "../viewer.ts"
import { readTimes } from "./time-filter.ts"

export const uuid = Type.String({ format: "uuid" })
export const nameOrNull = typed(["string", "null"], { maxLength: 255 })
export const metadata = mapOf(Type.String({ maxLength: 255 }))
/** As oslo.utils reads one. */
export const boolean = typed(["boolean", "string", "null"])
export const sizeGib = typed(["integer", "string", "null"], { pattern: "^[0-9]+$", minimum: 1 })

export function readBoolean(
  name: string,
  value: boolean | string | null | undefined,
  absent: boolean,
): boolean {
  if (value === undefined || value === null) return absent
  const read = typeof value === "string" ? booleanWord(value.trim()) : value
  if (read === undefined)
    throw inputInvalid(`${name}: ${JSON.stringify(value)} is no boolean; use true or false.`)
  return read
}

/** Whole GiB; null when nothing is said. */
export function readSize(name: string, value: number | string | null | undefined): number | null {
  if (value === undefined || value === null) return null
  const size = Number(value)
  if (Number.isSafeInteger(size) && size > 0 && size < 2 ** 31) return size
  throw inputInvalid(`${name}: ${JSON.stringify(value)} must be an integer and greater than 0.`)
}

/** As Cinder keeps names and descriptions: without blanks around them. */
export const trimmed = (value: string | null | undefined) => value?.trim() ?? null

interface Names {
  name?: string | null
  description?: string | null
}

/** What a body says of both, for a change: what it does not say stays. */
export function saidNames(
  body: Names & { display_name?: string | null; display_description?: string | null },
): Names {
  const name = body.name ?? body.display_name
  const description = body.description ?? body.display_description
  return {
    ...(name === undefined ? {} : { name: trimmed(name) }),
    ...(description === undefined ? {} : { description: trimmed(description) }),
  }
}

/** `{ "<key>": { …properties } }`; what is not named is passed over, as Cinder does where it is not strict. */
export function bodyOf<
  K extends string,
  P extends TProperties,
  const R extends readonly (keyof P & string)[] = [],
>(key: K, properties: P, required?: R) {
  return keyed(key, closed(properties, required), { additionalProperties: false })
}

export function bodyWith<K extends string, T extends TSchema>(key: K, schema: T) {
  return keyed(key, schema, { additionalProperties: false })
}

export const linksOf = (ctx: Ctx, path: string) => [
  { rel: "self", href: `${ctx.baseUrl}/volume/v3/${ctx.caller.projectId ?? ""}/${path}` },
  { rel: "bookmark", href: `${ctx.baseUrl}/volume/${ctx.caller.projectId ?? ""}/${path}` },
]

export interface ListRules {
  fields: Fields
  /** Names that Cinder has besides those of the noun: wire name → name of the noun. */
  otherNames?: Readonly<Record<string, string>>
  /** What only administrators filter or sort by. */
  forAdmins?: ReadonlySet<string>
  /** Filter → the version from which it is one. */
  since?: Readonly<Record<string, string>>
  /** Filters that are asked with an object. */
  objects?: ReadonlySet<string>
  /** What the list takes besides: name → the version from which it does. */
  besides?: Readonly<Record<string, string>>
  /** Other names are never refused: administrators' lists of a few things, which Cinder reads so. */
  isLenient?: true
}

const ofPages = ["all_tenants", "limit", "marker", "offset", "sort", "sort_key", "sort_dir"]

/** What a list is asked for. */
export function readList(ctx: Ctx, req: WireRequest, rules: ListRules) {
  const { query } = req
  const { listLimitMost } = ctx.config.blockStorage
  const sortKeys = onlyOf(ctx, rules, withOtherNames(keysOf(rules.fields, "sort"), rules))
  const page = readPage(query, {
    sortKeys,
    defaultSorts: [],
    defaultDirection: "desc",
    limitMax: listLimitMost,
  })
  const filterKeys = filterKeysOf(ctx, req, rules)
  if (!rules.isLenient) refuseOthers(ctx, req, rules, filterKeys)
  const filters: Record<string, Filters[string]> = {}
  for (const [name, key] of Object.entries(filterKeys)) {
    const asked = queryAll(query, name)
    if (asked.length > 0) filters[key] = readFilter(ctx, rules, { name, key, asked })
  }
  return {
    isOfAllProjects: queryBoolean(query, "all_tenants") ?? false,
    // Unlike elsewhere a page of none is one.
    query: { filters, page: { ...page, limit: page.limit ?? listLimitMost } },
    offset: queryInteger(query, "offset", { min: 0, max: 2 ** 31 - 1 }) ?? 0,
  }
}

type Keys = Readonly<Record<string, string>>

function withOtherNames(keys: Keys, { otherNames = {} }: ListRules): Keys {
  const others = Object.entries(otherNames).flatMap(([wire, name]) =>
    keys[name] === undefined ? [] : [[wire, keys[name]]],
  )
  return { ...keys, ...Object.fromEntries(others) }
}

/** Wire name → key of what this caller may filter by, at the version of the request. */
function filterKeysOf(ctx: Ctx, { version }: WireRequest, rules: ListRules): Keys {
  const { since = {} } = rules
  const known = onlyOf(ctx, rules, withOtherNames(keysOf(rules.fields, "filter"), rules))
  return Object.fromEntries(Object.entries(known).filter(([name]) => atLeast(version, since[name] ?? "3.0")))
}

/** Without what is only for administrators, where the caller is none. */
function onlyOf(ctx: Ctx, { forAdmins }: ListRules, names: Keys): Keys {
  if (!forAdmins || isAdmin(ctx)) return names
  return Object.fromEntries(Object.entries(names).filter(([name]) => !forAdmins.has(name)))
}

/** What users may filter by at the newest version, in the names that documents have. */
export function userFilters({ fields, forAdmins }: ListRules): string[] {
  return Object.keys(keysOf(fields, "filter")).filter((name) => !forAdmins?.has(name))
}

/**
 * A list of all would look like the list of what was asked for. Until 3.31 Cinder passes over what users may not ask;
 * what is no filter for administrators either is refused to them in every version.
 */
function refuseOthers(ctx: Ctx, { query, version }: WireRequest, rules: ListRules, filters: Keys): void {
  if (!atLeast(version, "3.31") && !isAdmin(ctx)) return
  const besides = Object.entries(rules.besides ?? {}).filter(([, from]) => atLeast(version, from))
  const known = new Set([...ofPages, ...besides.map(([name]) => name), ...Object.keys(filters)])
  const strange = Object.keys(query).filter((name) => query[name] !== undefined && !known.has(name))
  if (strange.length > 0)
    throw invalid(strange[0] ?? "", `Invalid filters ${strange.join(",")} are found in query options.`)
}

interface AskedFilter {
  name: string
  key: string
  asked: readonly string[]
}

function readFilter(ctx: Ctx, { fields, objects }: ListRules, { name, key, asked }: AskedFilter) {
  if (objects?.has(name)) return asked.map((text) => readObject(ctx, name, text))
  const kind = fields[key]?.kind
  if (kind === "time") return asked.flatMap((text) => readTimes(name, text))
  return kind === "boolean" ? asked.map(readWord(name)) : asked
}

/** `{'key': 'value'}`, as Python writes it, or JSON. */
function readObject(ctx: Ctx, name: string, text: string): string {
  const json = text.replaceAll(/u?'([^'\\]*)'/g, (_whole, inner: string) => JSON.stringify(inner))
  const parsed = parsedOrNull(json)
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) {
    checkJson(parsed, ctx.config.http)
    return JSON.stringify(parsed)
  }
  throw inputInvalid(`${name}: ${JSON.stringify(text)} is no object; write {'key': 'value'}.`)
}

const readWord = (name: string) => (text: string) => {
  const value = booleanWord(text.trim())
  if (value === undefined)
    throw inputInvalid(`${name}: ${JSON.stringify(text)} is no boolean; use true or false.`)
  return String(value)
}

/** `<noun>_links` of a page after which there is more. */
export function nextLink<T>(ctx: Ctx, req: WireRequest, noun: string, { read }: Listed<T>) {
  // A page that is just full has a link as well, as in Cinder.
  const isFull = read.hasMore || read.count === queryInteger(req.query, "limit")
  if (!isFull || read.lastId === null) return {}
  // With the project, as the endpoint of the catalog has it.
  const url = req.url.replace("/volume/v3/", `/volume/v3/${ctx.caller.projectId ?? ""}/`)
  return { [`${noun}_links`]: [{ rel: "next", href: pageUrl(ctx.baseUrl, url, { marker: read.lastId }) }] }
}

/** For documents: what `readList` reads, and what a list takes besides. */
export function toldList(
  { fields, otherNames = {} }: ListRules,
  more: Readonly<Record<string, JsonSchema>> = {},
): { query: JsonSchema } {
  const names = Object.keys(otherNames)
  return {
    query: querySchema({
      ...filterSchemas(fields),
      ...Object.fromEntries(names.map((name) => [name, { type: "string" }])),
      ...pageQuery,
      offset: { type: "integer", minimum: 0 },
      all_tenants: { type: "boolean" },
      sort: { type: "string", description: "`name:asc,created_at`; instead of sort_key and sort_dir." },
      sort_key: many({ type: "string", enum: [...sortNames(fields), ...names] }),
      sort_dir: many({ type: "string", enum: ["asc", "desc"] }),
      ...more,
    }),
  }
}
