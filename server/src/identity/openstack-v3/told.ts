// What documents say of the queries of this API, which its handlers read themselves, and of its lists.
import { type TSchema, Type } from "typebox"
import { flag, rare, text, textOrNull } from "../../api/openstack/shape.ts"
import type { JsonSchema } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/noun/field.ts"
import type { Noun } from "../../platform/noun/noun.ts"
import { filterSchemas, pageQuery, querySchema } from "../../platform/noun/query-schema.ts"
import type { Viewer } from "../index.ts"

type Parameters = Record<string, JsonSchema>

export function texts(...names: readonly string[]): Parameters {
  return Object.fromEntries(names.map((name) => [name, { type: "string" }]))
}

/** A flag that is there without a value is set. */
export function flags(...names: readonly string[]): Parameters {
  return Object.fromEntries(names.map((name) => [name, { type: "boolean" }]))
}

export function textQuery(...names: readonly string[]): JsonSchema {
  return querySchema(texts(...names))
}

/** Of a noun's list, by all its filters or `only` some; texts are compared by more than equality, too. */
export function listQuery<F extends Fields>(
  { fields }: Pick<Noun<F, Viewer>, "fields">,
  only?: readonly (keyof F)[],
): JsonSchema {
  const asked = Object.fromEntries(Object.entries(fields).filter(([key]) => !only || only.includes(key)))
  const compared = Object.entries(filterSchemas(asked)).map(([name, schema]): [string, JsonSchema] => [
    name,
    schema.type === "string"
      ? { ...schema, description: `Or \`${name}__contains\`, startswith, endswith.` }
      : schema,
  ])
  return querySchema({ ...Object.fromEntries(compared), ...pageQuery })
}

export const selfLink = Type.Object({ self: text })
export const listLinks = Type.Object(
  { self: text, next: textOrNull, previous: textOrNull },
  { title: "Links" },
)

/** What `listReply` answers. */
export function listOf(name: string, shows: TSchema) {
  return { answer: Type.Object({ [name]: Type.Array(shows), links: listLinks }) }
}

/** What `pageReply` answers. */
export function pageOf(name: string, shows: TSchema) {
  return { answer: Type.Object({ [name]: Type.Array(shows), links: listLinks, truncated: rare(flag) }) }
}
