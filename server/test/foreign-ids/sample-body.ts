// The least body that a schema admits.
import { randomUUID } from "node:crypto"
import type { TSchema } from "typebox"

const words = ["x", "abc", "1", "CUSTOM_X", "10.77.0.0/24", "10.77.0.5", "x.example", "/x", "a@b.example"]

type Part = Readonly<Record<string, unknown>>

export function sampleOf(schema: TSchema): unknown {
  const part: Part = { ...schema }
  if ("const" in part) return part.const
  if (Array.isArray(part.enum)) return part.enum[0]
  const options = [part.anyOf, part.oneOf].find(Array.isArray) as TSchema[] | undefined
  const types = [part.type].flat()
  if (options && part.properties === undefined) return sampleOf(options[0] ?? {})
  if (Array.isArray(part.allOf))
    return Object.assign({}, ...(part.allOf as TSchema[]).map((each) => sampleOf(each)))
  if (types.includes("object") || part.properties) return sampleObject(part, options ?? [])
  if (types.includes("array")) {
    const count = Number(part.minItems ?? 0)
    return Array.from({ length: count }, () => sampleOf((part.items ?? {}) as TSchema))
  }
  if (types.includes("string")) return sampleText(part)
  if (types.includes("integer") || types.includes("number")) return part.minimum ?? 1
  if (types.includes("boolean")) return true
  return null
}

function sampleObject(part: Part, options: readonly TSchema[]): Record<string, unknown> {
  const properties = (part.properties ?? {}) as Record<string, TSchema>
  const required = [part.required ?? [], (options[0] as Part | undefined)?.required ?? []].flat() as string[]
  const object: Record<string, unknown> = {}
  for (const name of required) object[name] = sampleOf(properties[name] ?? { type: "string" })
  const wanted = Number(part.minProperties ?? 0)
  for (const [name, property] of Object.entries(properties))
    if (Object.keys(object).length < wanted && !(name in object)) object[name] = sampleOf(property)
  for (const [pattern, property] of Object.entries(
    (part.patternProperties ?? {}) as Record<string, TSchema>,
  )) {
    const name = words.find((each) => new RegExp(pattern).test(each))
    if (Object.keys(object).length < wanted && name) object[name] = sampleOf(property)
  }
  return object
}

function sampleText(part: Part): string {
  if (part.format === "uuid") return randomUUID()
  if (part.format === "date-time") return new Date(Date.now() + 86_400_000).toISOString()
  if (part.format === "uri") return "http://x.example/"
  if (part.format === "ipv4") return "10.77.0.5"
  if (part.format === "ipv6") return "2001:db8::5"
  const pattern = new RegExp(String(part.pattern ?? ""), "u")
  const least = Number(part.minLength ?? 0)
  return words.find((each) => pattern.test(each) && each.length >= least) ?? randomUUID()
}

/** The body with this value at `server.networks[].uuid`. Lists become lists of the one. */
export function withValue(body: unknown, path: string, value: string): unknown {
  const [head = "", ...rest] = path.split(".")
  const isList = head.endsWith("[]")
  const key = isList ? head.slice(0, -2) : head
  const object = typeof body === "object" && body !== null ? { ...body } : {}
  const before: unknown = Reflect.get(object, key)
  const inner = isList ? (Array.isArray(before) ? before[0] : undefined) : before
  const next = rest.length === 0 ? value : withValue(inner, rest.join("."), value)
  return { ...object, [key]: isList ? [next] : next }
}
