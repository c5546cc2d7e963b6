// What another machine says: only what a schema knows of it is kept.
import { IsArray, IsObject, IsUnion, type Static, type TSchema } from "typebox"
import { fits } from "./compiled.ts"

/** A copy without what the schema does not name, as one that is newer may say more. Undefined: it does not fit. */
export function knownPart<T extends TSchema>(schema: T, value: unknown): Static<T> | undefined {
  // The schema has just said so.
  return fits(schema, value) ? (known(schema, value) as Static<T>) : undefined
}

function known(schema: TSchema, value: unknown): unknown {
  if (IsUnion(schema)) {
    const fitting = schema.anyOf.find((each) => fits(each, value))
    return fitting ? known(fitting, value) : value
  }
  if (IsArray(schema) && Array.isArray(value)) return value.map((each) => known(schema.items, each))
  if (!IsObject(schema) || typeof value !== "object" || value === null) return value
  const found = Object.entries(value).flatMap(([key, each]) => {
    const of = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    return of ? [[key, known(of, each)] as const] : []
  })
  return Object.fromEntries(found)
}
