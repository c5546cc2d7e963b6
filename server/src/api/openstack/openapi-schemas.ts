// The schemas of an OpenAPI document: those that several places have become components, whoever made the objects.
import type { TSchema } from "typebox"
import type { JsonSchema } from "../../platform/http/wire.ts"

/** Shorter ones are repeated: a reference would say no less. */
const sharedLengthLeast = 100

interface Found {
  schema: JsonSchema
  text: string
  /** Names of the members that have it, by the schemas that it stands in. */
  uses: Map<string, string>
}

export class SchemaComponents {
  /** Bodies by name, as they are. */
  readonly #bodies = new Map<string, JsonSchema>()
  readonly #found = new Map<string, Found>()

  /** A reference to a body: under its title, or this name, with a number where another body has that. */
  body(wanted: string, schema: TSchema): JsonSchema {
    const own = clean(schema)
    const text = JSON.stringify(own)
    let name = titleOf(own) ?? wanted
    const plain = name
    for (let n = 2; this.#bodies.has(name) && JSON.stringify(this.#bodies.get(name)) !== text; n++)
      name = `${plain}_${n}`
    this.#bodies.set(name, own)
    return reference(name)
  }

  /** All components, when all bodies are known. */
  all(): Record<string, JsonSchema> {
    for (const schema of this.#bodies.values()) this.#visit(schema)
    const names = this.#nameShared()
    const write = (schema: JsonSchema): JsonSchema =>
      mapParts(schema, (part) => {
        const name = names.get(JSON.stringify(part))
        return name === undefined ? write(part) : reference(name)
      })
    const entries = [...this.#bodies].map(([name, schema]) => [name, write(schema)] as const)
    const shared = [...names].flatMap(([text, name]) => {
      const found = this.#bodies.has(name) ? undefined : this.#found.get(text)
      return found ? [[name, write(found.schema)] as const] : []
    })
    return Object.fromEntries([...entries, ...shared])
  }

  /** Each schema once, however many have it. */
  #visit(schema: JsonSchema): void {
    const parent = JSON.stringify(schema)
    for (const [hint, part] of partsOf(schema)) {
      const text = JSON.stringify(part)
      const known = this.#found.get(text)
      if (known) known.uses.set(`${parent} ${hint}`, hint)
      else {
        this.#found.set(text, { schema: part, text, uses: new Map([[`${parent} ${hint}`, hint]]) })
        this.#visit(part)
      }
    }
  }

  #nameShared(): Map<string, string> {
    const names = new Map([...this.#bodies].map(([name, body]) => [JSON.stringify(body), name]))
    const taken = new Set(this.#bodies.keys())
    for (const { schema, text, uses } of this.#found.values()) {
      if (names.has(text) || uses.size < 2 || text.length < sharedLengthLeast) continue
      const hints = new Set(uses.values())
      const [first = ""] = hints
      const isOne = hints.size === 1 || !isPlain(schema)
      const hint = isOne && first !== "" ? first : kindOf(schema)
      const wanted = (titleOf(schema) ?? hint).replaceAll(/[^\w.-]/g, "-")
      let name = wanted
      for (let n = 2; taken.has(name); n++) name = `${wanted}_${n}`
      taken.add(name)
      names.set(text, name)
    }
    return names
  }
}

function reference(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}

function titleOf({ title }: JsonSchema): string | undefined {
  return typeof title === "string" ? title : undefined
}

/** Texts and numbers of many names: the first name would say nothing of the others. */
function isPlain({ type }: JsonSchema): boolean {
  return type !== "object" && type !== "array"
}

/** What says of itself what it is, for a schema that members of different names have. */
function kindOf(schema: JsonSchema): string {
  const { type } = schema
  if (typeof type === "string") return type
  if (Array.isArray(type)) return type.join("-")
  return Object.keys(schema)[0] ?? "any"
}

const mapKeywords = new Set(["properties", "patternProperties", "$defs", "dependentSchemas"])
const listKeywords = new Set(["anyOf", "oneOf", "allOf", "prefixItems"])
const schemaKeywords = new Set([
  ...["items", "additionalProperties", "unevaluatedProperties", "propertyNames", "contains"],
  ...["not", "if", "then", "else"],
])

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function mapParts(schema: JsonSchema, change: (part: JsonSchema, hint: string) => JsonSchema): JsonSchema {
  const changed: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (mapKeywords.has(keyword) && isSchema(value)) {
      const entries = Object.entries(value).map(([key, part]) => [
        key,
        isSchema(part) ? change(part, keyword === "properties" ? key : "") : part,
      ])
      changed[keyword] = Object.fromEntries(entries)
    } else if (listKeywords.has(keyword) && Array.isArray(value)) {
      changed[keyword] = value.map((part: unknown) => (isSchema(part) ? change(part, "") : part))
    } else if (schemaKeywords.has(keyword) && isSchema(value)) changed[keyword] = change(value, "")
    else changed[keyword] = value
  }
  return changed
}

/** Its parts, each with the name of the member that has it. */
function partsOf(schema: JsonSchema): [hint: string, part: JsonSchema][] {
  const parts: [string, JsonSchema][] = []
  mapParts(schema, (part, hint) => {
    parts.push([hint, part])
    return part
  })
  return parts
}

/** Plain data, as a file has it: without what is undefined or only for the program. */
function clean(schema: TSchema): JsonSchema {
  return JSON.parse(JSON.stringify(schema)) as JsonSchema
}
