// Makers of schemas beside TypeBox's own, for what JSON Schema says in ways that clients are shown.
import { type Static, type TObjectOptions, type TProperties, type TSchema, type TUnsafe, Type } from "typebox"

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
  options: Readonly<Record<string, unknown>> = {},
): TUnsafe<ValueOf[T[number]]> {
  return Type.Unsafe({ type, ...options })
}

/** One of these texts. */
export function word<const T extends readonly string[]>(texts: T): TUnsafe<T[number]> {
  return Type.Unsafe({ type: "string", enum: texts })
}

export function nullable<T extends TSchema>(schema: T) {
  return Type.Union([schema, Type.Null()])
}

type Shown<T> = { [K in keyof T]: T[K] }
type ObjectOf<P extends TProperties, R extends keyof P> = Shown<
  { [K in R]: Static<P[K]> } & { [K in Exclude<keyof P, R>]?: Static<P[K]> }
>

/** An object; what is not required may be absent, and what is not named may be there. */
export function object<P extends TProperties, const R extends readonly (keyof P & string)[] = []>(
  properties: P,
  required?: R,
  options: TObjectOptions = {},
): TUnsafe<ObjectOf<P, R[number]>> {
  return Type.Unsafe({ type: "object", properties, ...(required ? { required } : {}), ...options })
}

/** An object of these members and no others. */
export function closed<P extends TProperties, const R extends readonly (keyof P & string)[] = []>(
  properties: P,
  required?: R,
  options: TObjectOptions = {},
) {
  return object(properties, required, { ...options, additionalProperties: false })
}

/** An object with a value for each key of a pattern, and nothing else. */
export function dictionary<T extends TSchema>(keyPattern: string, value: T, options: TObjectOptions = {}) {
  return Type.Record(Type.String({ pattern: keyPattern }), value, { additionalProperties: false, ...options })
}
