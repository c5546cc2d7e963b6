// What documents say of a noun of this API: its body, the query of its list, its JSON. The attributes say it all.
import type { JsonSchema } from "../../platform/http/wire.ts"
import { many, pageQuery, querySchema } from "../../platform/noun/query-schema.ts"
import type { Attributes } from "./attributes.ts"

interface Described {
  noun: { name: string }
  singular: string
  plural: string
  attributes: Attributes<never>
}

const text = { type: "string" }

/** `network.floating_ip` → `FloatingIp`: components of documents are named after it. */
function titleOf({ noun: { name } }: Described): string {
  return name
    .slice(name.indexOf(".") + 1)
    .replaceAll(/(^|_)([a-z])/g, (_all, _before, letter: string) => letter.toUpperCase())
}

/** Both names of the owner, where there is one. */
function withProject<V>(entries: readonly (readonly [string, V])[]): Record<string, V> {
  const all = entries.flatMap(([name, value]) =>
    name === "tenant_id"
      ? [["project_id", value] as const, [name, value] as const]
      : [[name, value] as const],
  )
  return Object.fromEntries(all)
}

/** What clients give: at creation, or for a change. */
export function inputSchema(described: Described, how: "post" | "put"): JsonSchema {
  const taken = Object.entries(described.attributes).filter(([, attribute]) => attribute[how])
  const required = taken.flatMap(([name, attribute]) => (how === "post" && attribute.required ? [name] : []))
  return {
    title: how === "post" ? `New${titleOf(described)}` : `${titleOf(described)}Changes`,
    type: "object",
    properties: withProject(taken.map(([name, { kind }]) => [name, kind.schema])),
    ...(required.length > 0 ? { required } : {}),
    additionalProperties: false,
  }
}

/** What the API shows. Rules and `fields` may leave something out. */
export function shownSchema(described: Described): JsonSchema {
  const shown = Object.entries(described.attributes).filter(([, { hidden }]) => !hidden)
  return {
    title: titleOf(described),
    type: "object",
    properties: withProject(shown.map(([name, { shows = {} }]) => [name, shows])),
  }
}

/** `{"network": …}` */
export function wrapped(name: string, schema: JsonSchema): JsonSchema {
  return { type: "object", properties: { [name]: schema }, required: [name] }
}

/** `{"network": …}` as it is shown. */
export function answerSchema(described: Described): JsonSchema {
  return { title: `${titleOf(described)}Answer`, ...wrapped(described.singular, shownSchema(described)) }
}

/** One under the singular, or several under the plural. */
export function oneOrMany(
  { singular, plural }: Described,
  schema: JsonSchema,
  takesMany: boolean,
): JsonSchema {
  const one = wrapped(singular, schema)
  return takesMany ? { oneOf: [one, wrapped(plural, { type: "array", items: schema })] } : one
}

const link = { type: "object", properties: { rel: text, href: text } }

export function pageSchema(described: Described): JsonSchema {
  const { plural } = described
  const items = { type: "array", items: shownSchema(described) }
  const links = { title: "PageLinks", type: "array", items: link }
  return {
    title: `${titleOf(described)}Page`,
    type: "object",
    properties: { [plural]: items, [`${plural}_links`]: links },
    required: [plural],
  }
}

/** Attributes to show; default: all. */
const fields = many(text)

export const fieldsQuery = querySchema({ fields })

/** Filters that may come several times: one of the values is meant. */
export function textsQuery(names: readonly string[]): JsonSchema {
  return querySchema(Object.fromEntries(names.map((name) => [name, many(text)])))
}

export function listQuery(
  { attributes }: Pick<Described, "attributes">,
  extra: readonly string[],
): JsonSchema {
  const filters = Object.entries(attributes).filter(([, { filter }]) => filter !== undefined)
  const sortable = Object.keys(withProject(Object.entries(attributes).filter(([, { sort }]) => sort)))
  const own = withProject(
    filters.map(([name, { kind, shows }]) => [name, many(filterSchema(shows ?? kind.schema))]),
  )
  const besides = Object.fromEntries(extra.map((name) => [name, many(text)]))
  return querySchema({
    ...own,
    ...besides,
    fields,
    ...pageQuery,
    page_reverse: { type: "boolean" },
    sort_key: many({ type: "string", enum: sortable }),
    sort_dir: many({ type: "string", enum: ["asc", "desc"] }),
  })
}

/** Of one value, as a query has it: a text in the end. */
function filterSchema(schema: JsonSchema): JsonSchema {
  const { type, format } = schema
  if (type === "boolean" || type === "integer") return { type }
  return format === "uuid" ? { type: "string", format } : text
}
