// Kinds of attribute values: how one is read from JSON (with Neutron's words when it is wrong) and from a filter.

import { booleanWord } from "../../platform/http/query.ts"
import type { JsonSchema } from "../../platform/http/wire.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { canonicalAddress, canonicalMac, parsePrefix } from "../../platform/net/address.ts"
import { cutValue } from "../../platform/schema/words.ts"
import { badRequest } from "./bad-request.ts"

export interface Kind {
  read: (value: unknown, name: string) => unknown
  /** A filter's text as the service's lists take it. */
  filter?: (text: string) => string
  /** What clients are told to send; \`read\` takes more (numbers as texts, words for booleans). */
  schema: JsonSchema
}

function wrong(name: string, reason: string) {
  return badRequest(`Invalid input for ${name}. Reason: ${reason}.`)
}

function invalidInput(reason: string) {
  return badRequest(`Invalid input for operation: ${reason}.`, "InvalidInput")
}

export function text(max = 255): Kind {
  return {
    schema: { type: "string", maxLength: max },
    read: (value, name) => {
      if (typeof value !== "string") throw wrong(name, `'${show(value)}' is not a valid string`)
      if ([...value].length > max) throw wrong(name, `'${show(value)}' exceeds maximum length of ${max}`)
      return value
    },
  }
}

export function filledText(max = 255): Kind {
  return {
    schema: { type: "string", minLength: 1, maxLength: max },
    read: (value, name) => {
      const read = text(max).read(value, name)
      if (String(read).trim() === "") throw wrong(name, `'${show(read)}' Blank strings are not permitted`)
      return read
    },
  }
}

export function withNull(schema: JsonSchema): JsonSchema {
  const { type, enum: words } = schema
  if (Array.isArray(type) && type.includes("null")) return schema
  if (typeof type !== "string") return { anyOf: [schema, { type: "null" }] }
  return { ...schema, type: [type, "null"], ...(Array.isArray(words) ? { enum: [...words, null] } : {}) }
}

export function orNull(kind: Kind): Kind {
  return {
    ...kind,
    schema: withNull(kind.schema),
    read: (value, name) => (value === null ? null : kind.read(value, name)),
  }
}

/** Null stands for "not said". */
export function nullIsAbsent(kind: Kind): Kind {
  return { ...orNull(kind), read: (value, name) => (value === null ? undefined : kind.read(value, name)) }
}

function readBoolean(value: unknown): boolean {
  if (typeof value === "boolean") return value
  const isWord = typeof value === "string" || typeof value === "number"
  const found = isWord ? booleanWord(String(value).trim()) : undefined
  if (found !== undefined) return found
  throw invalidInput(`'${show(value)}' cannot be converted to boolean`)
}

export const boolean: Kind = {
  schema: { type: "boolean" },
  read: readBoolean,
  filter: (value) => String(readBoolean(value)),
}

function readInteger(value: unknown): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value
  if (typeof value === "string" && /^\s*-?\d{1,15}\s*$/.test(value)) return Number(value)
  throw invalidInput(`'${show(value)}' is not an integer`)
}

export const integer: Kind = {
  schema: { type: "integer" },
  read: readInteger,
  filter: (value) => String(readInteger(value)),
}

export const nonNegative: Kind = {
  ...integer,
  schema: { type: "integer", minimum: 0 },
  read: (value, name) => {
    const number = readInteger(value)
    if (number < 0) throw wrong(name, `'${number}' should be non-negative`)
    return number
  },
}

export function ranged(min: number, max: number): Kind {
  return {
    ...integer,
    schema: { type: "integer", minimum: min, maximum: max },
    read: (value, name) => {
      const number = readInteger(value)
      if (number < min) throw wrong(name, `'${number}' is too small - must be at least '${min}'`)
      if (number > max) throw wrong(name, `'${number}' is too large - must be no larger than '${max}'`)
      return number
    },
  }
}

export function oneOf(values: readonly (string | number)[], convert?: (value: unknown) => unknown): Kind {
  return {
    schema: { type: typeof values[0] === "number" ? "integer" : "string", enum: values },
    read: (value, name) => {
      const read = convert ? convert(value) : value
      if (!values.some((allowed) => allowed === read))
        throw wrong(
          name,
          `'${show(read)}' is not in [${values.map((v) => (typeof v === "string" ? `'${v}'` : v)).join(", ")}]`,
        )
      return read
    },
  }
}

/** One of some numbers, which may come as text. */
export function numberAmong(values: readonly (string | number)[]): Kind {
  return { ...oneOf(values, readInteger), filter: (value) => String(readInteger(value)) }
}

export const uuid: Kind = {
  schema: { type: "string", format: "uuid" },
  read: (value, name) => {
    if (typeof value !== "string" || !isUuid(value)) throw wrong(name, `'${show(value)}' is not a valid UUID`)
    return value
  },
}

export const address: Kind = {
  schema: {
    title: "IpAddress",
    anyOf: [
      { type: "string", format: "ipv4" },
      { type: "string", format: "ipv6" },
    ],
  },
  read: (value, name) => {
    const found = typeof value === "string" ? canonicalAddress(value) : undefined
    if (found === undefined) throw wrong(name, `'${show(value)}' is not a valid IP address`)
    return found
  },
  filter: (value) => canonicalAddress(value) ?? value,
}

export const prefix: Kind = {
  schema: { type: "string", description: "Address and length: 10.0.0.0/24." },
  read: (value, name) => {
    if (typeof value !== "string" || !value.includes("/") || !parsePrefix(value))
      throw wrong(name, `'${show(value)}' is not a valid IP subnet`)
    return value
  },
}

export const mac: Kind = {
  schema: { type: "string", description: "MAC address: fa:16:3e:00:00:01." },
  read: (value, name) => {
    const found = typeof value === "string" ? canonicalMac(value) : undefined
    if (found === undefined) throw wrong(name, `'${show(value)}' is not a valid MAC address`)
    return found
  },
  filter: (value) => canonicalMac(value) ?? value,
}

interface ListForm {
  what?: string
  /** What must not come twice in a list; undefined where it does not matter. Default: the whole item. */
  sameness?: (item: unknown) => unknown
}

export function listOf(kind: Kind, { what = "list", sameness = (item) => item }: ListForm = {}): Kind {
  return {
    schema: { type: "array", items: kind.schema },
    read: (value, name) => {
      if (value === null) return []
      if (!Array.isArray(value)) throw wrong(name, `'${show(value)}' is not a ${what}`)
      const read = value.map((item: unknown) => kind.read(item, name))
      const compared = read.map(sameness).filter((each) => each !== undefined)
      const seen = new Set(compared.map((item) => JSON.stringify(item)))
      if (seen.size < compared.length) throw wrong(name, `Duplicate items in the list: '${show(value)}'`)
      return read
    },
  }
}

interface Field {
  kind: Kind
  key: string
  required?: true
}

/** An object with these fields and no others. */
export function objectOf(fields: Readonly<Record<string, Field>>): Kind {
  const entries = Object.entries(fields)
  const required = entries.flatMap(([key, field]) => (field.required ? [key] : []))
  return {
    schema: {
      type: "object",
      properties: Object.fromEntries(entries.map(([key, { kind }]) => [key, kind.schema])),
      ...(required.length > 0 ? { required } : {}),
      additionalProperties: false,
    },
    read: (value, name) => {
      if (typeof value !== "object" || value === null || Array.isArray(value))
        throw wrong(name, `'${show(value)}' is not a dictionary`)
      const unknown = Object.keys(value).filter((key) => !Object.hasOwn(fields, key))
      if (unknown.length > 0)
        throw wrong(
          name,
          `Validation of dictionary's keys failed. Unexpected keys: {${cutValue(unknown.map((k) => `'${k}'`).join(", "))}}`,
        )
      const read: Record<string, unknown> = {}
      for (const [key, field] of Object.entries(fields)) {
        const given: unknown = Reflect.get(value, key)
        if (given === undefined) {
          if (field.required)
            throw wrong(name, `Validation of dictionary's keys failed. Expected keys: {'${key}'}`)
          continue
        }
        const inner = field.kind.read(given, name)
        if (inner !== undefined) read[field.key] = inner
      }
      return read
    },
  }
}

export const dictionary: Kind = {
  schema: { type: "object" },
  read: (value, name) => {
    if (value === null) return {}
    if (typeof value !== "object" || Array.isArray(value))
      throw wrong(name, `'${show(value)}' is not a dictionary`)
    return value
  },
}

/** For what is only shown. */
export const shown: Kind = { schema: {}, read: (value) => value }

/** For what clients send back that they have read. */
export const ignored: Kind = { schema: {}, read: () => undefined }

export const tags: Kind = {
  schema: { type: "array", items: filledText().schema },
  read: (value, name) => {
    if (!Array.isArray(value)) throw wrong(name, `'${show(value)}' is not a list`)
    return [...new Set(value.map((item: unknown) => filledText().read(item, name)))]
  },
}

function show(value: unknown): string {
  return cutValue(typeof value === "string" ? value : (JSON.stringify(value) ?? "None"))
}
