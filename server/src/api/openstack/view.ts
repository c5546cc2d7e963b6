// A thing as an API shows it, said once: which members it has, from which microversion on, what they are and how each
// is read. What documents tell and what is answered come from the same table.
import { microsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { gone, schemaFor } from "../../platform/http/versions.ts"
import type { WireRequest } from "../../platform/http/wire.ts"
import { type Field, type Fields, publicName, type ThingOf } from "../../platform/noun/field.ts"
import { from, type Members, type Shape, shape, text, textOrNull } from "./shape.ts"

type Asked = Pick<WireRequest, "version" | "url">
type Read<T> = (thing: T, ctx: Ctx, asked: Asked) => unknown

/** What is read as undefined is not there this time: its shape is `rare`, or has versions. Times have microseconds. */
export type Table<T> = Readonly<Record<string, readonly [as: Shape, of: (keyof T & string) | Read<T>]>>

export interface View<T> {
  readonly shows: Shape
  readonly show: (ctx: Ctx, asked: Asked, thing: T) => Record<string, unknown>
}

export function view<T>(title: string, table: Table<T>): View<T> {
  const entries = Object.entries(table)
  const byVersion = new Map<number, typeof entries>()
  const entriesAt = ({ version }: Asked) => {
    const key = version.major * 1000 + version.minor
    const known = byVersion.get(key)
    if (known) return known
    const there = entries.filter(([, [as]]) => (schemaFor(as, version) ?? gone) !== gone)
    byVersion.set(key, there)
    return there
  }
  const members: Members = Object.fromEntries(entries.map(([name, [as]]) => [name, as]))
  return {
    shows: shape(title, members),
    show: (ctx, asked, thing) => {
      const shown: Record<string, unknown> = {}
      for (const [name, [, of]] of entriesAt(asked)) {
        const value = typeof of === "function" ? of(thing, ctx, asked) : thing[of]
        if (value !== undefined) shown[name] = value instanceof Date ? microsText(value) : value
      }
      return shown
    },
  }
}

/** Fields of a noun: by their public names, or by what the API calls them. */
export function named<F extends Fields, K extends keyof ThingOf<F> & string>(
  fields: F,
  names: readonly K[] | Readonly<Record<string, K>>,
): Table<Pick<ThingOf<F>, K>> {
  const all = isList(names)
    ? names.map((key) => [publicName(key, fields[key] as Field), key] as const)
    : Object.entries(names)
  return Object.fromEntries(all.map(([name, key]) => [name, [shapeOf(fields[key]), key]]))
}

const isList = <T>(value: readonly T[] | object): value is readonly T[] => Array.isArray(value)

function shapeOf(field: Field | undefined): Shape {
  if (field?.kind === "time") return field.isNullable ? textOrNull : text
  return field?.schema ?? {}
}

/** All of it from that version on. */
export function since<T>(version: string, table: Table<T>): Table<T> {
  const later = Object.entries(table).map(([name, [as, of]]) => [name, [from(version, as), of]] as const)
  return Object.fromEntries(later)
}
