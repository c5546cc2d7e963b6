// Parts that many bodies of this API share.
import { type TObjectOptions, type TProperties, type TSchema, Type } from "typebox"
import { closed, dictionary, keyed, nullable, typed, word } from "../../platform/schema/make.ts"

/** Printable, with no space at either end. */
export const name = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: "^(?!\\s)[^\\p{C}\\p{Zl}\\p{Zp}]*(?<!\\s)$",
})
export const nameOrNull = nullable(name)
export const description = typed(["string", "null"], {
  maxLength: 255,
  pattern: "^[^\\p{C}\\p{Zl}\\p{Zp}]*$",
})
/** RFC 1123 label. */
export const hostname = Type.String({
  minLength: 2,
  maxLength: 63,
  pattern: "^[a-zA-Z0-9]+[a-zA-Z0-9-]*[a-zA-Z0-9]+$",
})
export const fqdn = Type.String({ minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9._-]*$" })
export const uuid = Type.String({ format: "uuid" })

const yes = ["True", "TRUE", "true", "1", "ON", "On", "on", "YES", "Yes", "yes"]
const no = ["False", "FALSE", "false", "0", "OFF", "Off", "off", "NO", "No", "no"]
export const boolean = typed(["boolean", "string"], { enum: [true, ...yes, false, ...no] })

export const booleanOrAuto = typed(["boolean", "string"], { enum: [true, ...yes, false, ...no, "auto"] })

/** What `boolean` above admits. */
export function readBoolean(value: boolean | string | undefined): boolean {
  return typeof value === "string" ? yes.includes(value) : value === true
}

export const positiveInteger = typed(["integer", "string"], {
  pattern: "^0*[1-9][0-9]*$",
  minimum: 1,
  minLength: 1,
})
export const ipv4 = Type.String({ format: "ipv4" })
export const ipv6 = Type.String({ format: "ipv6" })
export const ipAddress = Type.Unsafe<string>({
  type: "string",
  anyOf: [{ format: "ipv4" }, { format: "ipv6" }],
})
export const diskConfig = word(["AUTO", "MANUAL"])
const metadataOf = (options: TObjectOptions = {}) =>
  dictionary("^[a-zA-Z0-9_:. -]{1,255}$", Type.String({ maxLength: 255 }), options)
export const metadata = metadataOf()
export const metadataItem = metadataOf({ minProperties: 1, maxProperties: 1 })
export const tag = Type.String({ minLength: 1, maxLength: 60, pattern: "^[^,/]*$" })
/** Two parts of the pattern in a row that both take blanks would try all ways to share them. */
export const base64 = Type.String({ maxLength: 65_535, pattern: "^[A-Za-z0-9+/\\s]*(=+\\s*)?$" })

/** `{ "<key>": { …properties } }` and nothing else. */
export function bodyOf<
  K extends string,
  P extends TProperties,
  const R extends readonly (keyof P & string)[] = [],
>(key: K, properties: P, required?: R) {
  return bodyWith(key, closed(properties, required))
}

/** `{ "<key>": <schema> }` and nothing else. */
export function bodyWith<K extends string, T extends TSchema>(key: K, schema: T) {
  return keyed(key, schema, { additionalProperties: false })
}
