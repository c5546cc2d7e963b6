// Makers of schemas beside TypeBox's own, for what JSON Schema says in ways that clients are shown.
import {
  type Static,
  type TObjectOptions,
  type TProperties,
  type TSchema,
  type TSchemaOptions,
  type TUnsafe,
  Type,
} from "typebox"

interface ValueOf {
  string: string
  integer: number
  number: number
  boolean: boolean
  null: null
  object: Record<string, unknown>
  array: unknown[]
}

/** A value of one of these types: `typed(["string", "null"], { maxLength: 255 })`. */
export function typed<const T extends readonly (keyof ValueOf)[]>(
  type: T,
  options: TSchemaOptions = {},
): TUnsafe<ValueOf[T[number]]> {
  return Type.Unsafe({ type, ...options })
}

/** One of these texts. */
export function word<const T extends readonly string[]>(
  texts: T,
  options: TSchemaOptions = {},
): TUnsafe<T[number]> {
  return Type.Unsafe({ type: "string", enum: texts, ...options })
}

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

/** Any object. */
export const anyObject = Type.Unsafe<Record<string, unknown>>({ type: "object" })

/** An object whose members are all alike. */
export function mapOf<T extends TSchema>(value: T): TUnsafe<Record<string, Static<T>>> {
  return Type.Unsafe({ type: "object", additionalProperties: value })
}

type Shown<T> = { [K in keyof T]: T[K] }
type ObjectOf<P extends TProperties, R extends keyof P> = Shown<
  { [K in R]: Static<P[K]> } & { [K in Exclude<keyof P, R>]?: Static<P[K]> }
>

/** What an object of these properties may have, if none is required. */
export type Fields<P extends TProperties> = ObjectOf<P, never>

/** An object; what is not required may be absent, and what is not named may be there. */
export function object<P extends TProperties, const R extends readonly (keyof P & string)[] = []>(
  properties: P,
  required?: R,
  options: TObjectOptions = {},
): TUnsafe<ObjectOf<P, R[number]>> {
  return Type.Unsafe({ type: "object", properties, ...(required?.length ? { required } : {}), ...options })
}

/** An object of these members and no others. */
export function closed<P extends TProperties, const R extends readonly (keyof P & string)[] = []>(
  properties: P,
  required?: R,
  options: TObjectOptions = {},
) {
  return object(properties, required, { ...options, additionalProperties: false })
}

/** `{ "<key>": <schema> }` */
export function keyed<K extends string, T extends TSchema>(
  key: K,
  schema: T,
  options: TObjectOptions = {},
): TUnsafe<Record<K, Static<T>>> {
  return Type.Unsafe({ type: "object", properties: { [key]: schema }, required: [key], ...options })
}

/** An object with a value for each key of a pattern, and nothing else. */
export function dictionary<T extends TSchema>(keyPattern: string, value: T, options: TObjectOptions = {}) {
  return Type.Record(Type.String({ pattern: keyPattern }), value, { additionalProperties: false, ...options })
}
