// The parameters of an OpenAPI document: paths, queries, headers. Those that several places have become components.
import type { JsonSchema } from "../../platform/http/wire.ts"
import { declaredNouns } from "../../platform/noun/noun.ts"

type Json = Record<string, unknown>

/** Nouns by service and name without its underscores, as paths have it: `network floatingip`. */
function nounKey(service: string, name: string): string {
  return `${service} ${name.replaceAll("_", "")}`
}

/** What each `{…}` of a path stands for: the id of a noun has the noun's form. */
export function pathParameters(service: string, path: string): Json[] {
  const nouns = new Map(
    declaredNouns().map(
      ({ name, fields, key = "id" }) => [nounKey(...splitName(name)), fields[key]] as const,
    ),
  )
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => {
    const [, words, kind] = /^(?:(\w+)_)?(id|uuid)$/.exec(name) ?? []
    const id = words === undefined ? undefined : nouns.get(nounKey(service, words))
    const schema = id?.schema ?? { type: "string", ...(kind === "uuid" ? { format: "uuid" } : {}) }
    const thing = words?.replaceAll("_", " ")
    return {
      in: "path",
      name,
      required: true,
      ...(thing === undefined ? {} : { description: `Id of the ${thing}.` }),
      schema: plain(schema),
    }
  })
}

function splitName(name: string): [service: string, noun: string] {
  const at = name.indexOf(".")
  return [name.slice(0, at), name.slice(at + 1)]
}

/** Without what is only for the program. */
function plain(schema: unknown): unknown {
  return JSON.parse(JSON.stringify(schema))
}

export function queryParameters(query: JsonSchema): Json[] {
  const properties = (query.properties ?? {}) as Record<string, JsonSchema>
  const required = (query.required ?? []) as readonly string[]
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    in: "query",
    name,
    ...(required.includes(name) ? { required: true } : {}),
    ...(description === undefined ? {} : { description }),
    schema: plain(schema),
  }))
}

/** The components that parameters become, by name; the places have references to them then. */
export function shareParameters(paths: Readonly<Record<string, Json>>): Record<string, Json> {
  const lists = Object.values(paths).flatMap((item) =>
    [item, ...Object.values(item)].flatMap((place) => parametersOf(place)),
  )
  const uses = new Map<string, number>()
  for (const parameter of lists.flat()) {
    const text = JSON.stringify(parameter)
    uses.set(text, (uses.get(text) ?? 0) + 1)
  }
  const components = new Map<string, Json>()
  const names = new Map<string, string>()
  for (const list of lists) {
    for (const [at, parameter] of list.entries()) {
      const text = JSON.stringify(parameter)
      if ((uses.get(text) ?? 0) < 2) continue
      const name = names.get(text) ?? freeName(String(parameter.name), components)
      names.set(text, name)
      components.set(name, parameter)
      list[at] = { $ref: `#/components/parameters/${name}` }
    }
  }
  return Object.fromEntries(components)
}

function parametersOf(place: unknown): Json[][] {
  if (typeof place !== "object" || place === null || Array.isArray(place)) return []
  const list: unknown = Reflect.get(place, "parameters")
  return Array.isArray(list) ? [list] : []
}

function freeName(wanted: string, taken: ReadonlyMap<string, unknown>): string {
  const plain = wanted.replaceAll(/[^\w.-]/g, "-")
  let name = plain
  for (let n = 2; taken.has(name); n++) name = `${plain}_${n}`
  return name
}
