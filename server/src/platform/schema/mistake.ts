// What is wrong with a value that its schema refuses. The compiled check says only that it does; this looks again, in
// an order that never changes and no further than the first mistake, so that a client is always told the same.
import {
  Check,
  IsAdditionalProperties,
  IsAllOf,
  IsAnyOf,
  IsItemsUnsized,
  IsOneOf,
  IsPatternProperties,
  IsProperties,
  IsRequired,
  type XSchema,
} from "typebox/schema"
import { fits } from "./compiled.ts"

export interface Mistake {
  /** The keyword of the schema that refuses, and what it wants. */
  keyword: string
  wanted: unknown
  value: unknown
  /** Names and indexes that lead to the value. */
  path: readonly string[]
  /** What is missing, or should not be there. */
  name?: string
}

/** The first mistake; where no alternative of a choice fits, the one that lies deepest. */
export function findMistake(schema: XSchema, value: unknown): Mistake | undefined {
  const depthOf = ({ path }: Mistake) => path.join("/").length
  return mistakesIn(schema, value, []).sort((a, b) => depthOf(b) - depthOf(a))[0]
}

/** In a few words, for the log of whoever is told. */
export function mistakeIn(schema: XSchema, value: unknown): string {
  const { path = [], name, keyword } = findMistake(schema, value) ?? {}
  const where = [...path, ...(name === undefined ? [] : [name])].join(".")
  return `\`${where || "body"}\` is not what it must be (${keyword ?? "type"}).`
}

const forms = ["type", "const", "enum", "not"]
const limits = [
  ...["maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"],
  ...["maxLength", "minLength", "pattern", "format"],
  ...["maxItems", "minItems", "maxProperties", "minProperties"],
]

interface Place {
  value: unknown
  path: readonly string[]
}

/** One, or one for each alternative of a choice. */
function mistakesIn(schema: XSchema, value: unknown, path: readonly string[]): Mistake[] {
  if (typeof schema === "boolean") return []
  const at = { value, path }
  return (
    byKeyword(schema, forms, at) ??
    byChoice(schema, at) ??
    byKeyword(schema, limits, at) ??
    (Array.isArray(value) ? byItem(schema, value, path) : undefined) ??
    (isObject(value) ? byMember(schema, value, path) : undefined) ??
    []
  )
}

type Members = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value)

function byKeyword(schema: object, keywords: readonly string[], at: Place): Mistake[] | undefined {
  for (const keyword of keywords) {
    const wanted: unknown = Reflect.get(schema, keyword)
    if (wanted !== undefined && !Check({ [keyword]: wanted }, at.value)) return [{ keyword, wanted, ...at }]
  }
  return undefined
}

function byChoice(schema: object, { value, path }: Place): Mistake[] | undefined {
  const fitting = (alternatives: readonly XSchema[]) =>
    alternatives.filter((each) => fits(each, value)).length
  const inEach = (alternatives: readonly XSchema[]) =>
    alternatives.flatMap((each) => mistakesIn(each, value, path))
  if (IsAnyOf(schema) && fitting(schema.anyOf) === 0)
    return [...inEach(schema.anyOf), { keyword: "anyOf", wanted: schema.anyOf, value, path }]
  if (IsOneOf(schema) && fitting(schema.oneOf) !== 1)
    return [...inEach(schema.oneOf), { keyword: "oneOf", wanted: schema.oneOf, value, path }]
  const wrong = IsAllOf(schema) && schema.allOf.find((each) => !fits(each, value))
  return wrong ? mistakesIn(wrong, value, path) : undefined
}

function byItem(schema: object, list: readonly unknown[], path: readonly string[]): Mistake[] | undefined {
  if (IsItemsUnsized(schema)) {
    const wrong = list.findIndex((each) => !fits(schema.items, each))
    if (wrong >= 0) return mistakesIn(schema.items, list[wrong], [...path, String(wrong)])
  }
  return byKeyword(schema, ["uniqueItems"], { value: list, path })
}

function byMember(schema: object, value: Members, path: readonly string[]): Mistake[] | undefined {
  const missing = IsRequired(schema) && schema.required.find((name) => !Object.hasOwn(value, name))
  if (typeof missing === "string") return [{ keyword: "required", wanted: null, value, path, name: missing }]
  const parts = partsOf(schema, value)
  const wrong = parts.find(({ name, part }) => !fits(part, value[name]))
  if (!wrong) return undefined
  const { name, part } = wrong
  if (part === false) return [{ keyword: "additionalProperties", wanted: part, value, path, name }]
  return mistakesIn(part, value[name], [...path, name])
}

/** What stands for each member: those first that no property and no pattern knows. */
function partsOf(schema: object, value: Members): { name: string; part: XSchema }[] {
  const names = Object.keys(value)
  const known = Object.entries(IsProperties(schema) ? schema.properties : {})
    .filter(([name]) => Object.hasOwn(value, name) && value[name] !== undefined)
    .map(([name, part]) => ({ name, part }))
  const patterns = Object.entries(IsPatternProperties(schema) ? schema.patternProperties : {})
  const matching = patterns.flatMap(([pattern, part]) => {
    const regExp = new RegExp(pattern, "u")
    return names.filter((name) => regExp.test(name)).map((name) => ({ name, part }))
  })
  const rest = IsAdditionalProperties(schema) ? schema.additionalProperties : true
  const expected = new Set([...known, ...matching].map(({ name }) => name))
  const strangers = names.filter((name) => !expected.has(name)).map((name) => ({ name, part: rest }))
  return [...strangers, ...known, ...matching]
}
