// Reading what Keystone's clients send: loose booleans, filters with comparators, attributes that nobody knows.

import { invalid } from "../../platform/fault/fault.ts"
import { booleanWord, queryInteger, queryText } from "../../platform/http/query.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/noun/field.ts"
import { publicName } from "../../platform/noun/field.ts"
import type { Compared, ListQuery, TextComparator } from "../../platform/noun/list.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import type { Viewer } from "../index.ts"

const comparators: Readonly<Record<string, TextComparator>> = {
  contains: "contains",
  startswith: "startsWith",
  endswith: "endsWith",
  icontains: "iContains",
  istartswith: "iStartsWith",
  iendswith: "iEndsWith",
}

/** `name=x`, `name__contains=x`, `enabled`, `limit` and `marker`; the noun says what may be asked, `only` some of it. */
export function readList<F extends Fields>(
  query: WireRequest["query"],
  { fields }: Pick<Noun<F, Viewer>, "fields">,
  only?: readonly (keyof F)[],
): ListQuery {
  const keys = new Map(
    Object.entries(fields)
      .filter(([key, { abilities }]) => abilities.filter && (!only || only.includes(key)))
      .map(([key, field]) => [publicName(key, field), { key, kind: field.kind }]),
  )
  const equal: Record<string, string[]> = {}
  const compared: Record<string, Compared[]> = {}
  for (const name of Object.keys(query)) {
    const [word = "", comparator = "equals"] = name.split("__")
    const field = keys.get(word)
    if (!field) continue
    const value = queryText(query, name) ?? ""
    const by = Object.hasOwn(comparators, comparator) ? comparators[comparator] : undefined
    if (field.kind === "boolean") equal[field.key] = [String(isTrue(value))]
    else if (comparator === "equals") equal[field.key] = [value]
    else if (by) compared[field.key] = [...(compared[field.key] ?? []), { by, value }]
  }
  // Who asks for both of one attribute means both.
  for (const [key, some] of Object.entries(compared))
    for (const value of equal[key] ?? []) some.push({ by: "equal", value })
  const limit = queryInteger(query, "limit", { min: 0 }) || null
  return { filters: { ...equal, ...compared }, page: { limit, marker: queryText(query, "marker") ?? null } }
}

/** A filter without a value means yes; only these words mean no. */
export function isTrue(text: string): boolean {
  return booleanWord(text.trim()) !== false
}

export function flag(query: WireRequest["query"], name: string): boolean {
  const text = queryText(query, name)
  return text !== undefined && isTrue(text)
}

/** Booleans of bodies come as words as well; the schema has seen to which. */
export function readBoolean(value: unknown): boolean | undefined {
  if (value === undefined || value === null) return undefined
  return typeof value === "boolean" ? value : isTrue(String(value)) && value !== ""
}

/** The attributes that are not among the known ones. */
export function extraOf(body: object, known: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(body).filter(([name]) => !known.includes(name)))
}

/** A body may repeat the id of the path, and not name another one. */
export function requireSameId(body: object, id: string): void {
  if ("id" in body && body.id !== id) throw invalid("id", "Cannot change ID.")
}

type Given<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** Without the keys whose value is undefined: what the client did not say is not said to the operation. */
export function given<T extends object>(values: T): Given<T> {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  // Only undefined was taken out, which is what the type says.
  return Object.fromEntries(entries) as Given<T>
}
