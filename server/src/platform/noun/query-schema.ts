// What lists of a noun may be asked, as documents say it.
import type { JsonSchema } from "../http/wire.ts"
import { type Fields, publicName } from "./field.ts"

/** By public name. In the end each value is a text: what is not said here is refused, if at all, by who reads it. */
export function filterSchemas(fields: Fields): Record<string, JsonSchema> {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([key, field]) =>
      field.abilities.filter ? [[publicName(key, field), filterSchema(field)]] : [],
    ),
  )
}

function filterSchema({ kind, schema }: Fields[string]): JsonSchema {
  if (kind === "boolean" || kind === "integer") return { type: kind }
  if (kind === "uuid") return { type: "string", format: "uuid" }
  const { enum: words } = schema as { enum?: readonly string[] }
  return { type: "string", ...(words ? { enum: words } : {}) }
}

export function sortNames(fields: Fields): string[] {
  return Object.entries(fields).flatMap(([key, field]) =>
    field.abilities.sort ? [publicName(key, field)] : [],
  )
}

/** What most lists take besides: `limit`, `marker`. */
export const pageQuery: Readonly<Record<string, JsonSchema>> = {
  limit: { type: "integer", minimum: 0 },
  marker: { type: "string" },
}

/** A parameter that may come several times. */
export const many = (items: JsonSchema): JsonSchema => ({ type: "array", items })

export function querySchema(properties: Readonly<Record<string, JsonSchema>>): JsonSchema {
  return { type: "object", properties }
}
