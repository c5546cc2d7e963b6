// JSON bodies, and what none may hold whatever its schema says: each would fail further in, where nobody expects it.
import { isUtf8 } from "node:buffer"
import { Fault, invalid } from "../fault/fault.ts"

export interface JsonLimits {
  /** How deep objects and arrays may nest. */
  jsonDepthMost: number
  /** Members of one object or array. */
  jsonItemsMost: number
}

/** What was taken in, as JSON; nothing stays nothing. */
export function readJson(body: unknown, limits: JsonLimits): unknown {
  if (!Buffer.isBuffer(body)) return undefined
  if (!isUtf8(body)) throw malformed("it is not UTF-8")
  let value: unknown
  try {
    value = JSON.parse(body.toString("utf8"))
  } catch (error) {
    throw malformed(`it is not valid JSON (${error instanceof Error ? error.message : ""})`)
  }
  checkJson(value, limits)
  return value
}

function malformed(why: string): Fault {
  return new Fault("invalid", "request.malformed_json", `Malformed request body: ${why}.`)
}

interface Place {
  value: unknown
  /** Name of the member that it is, or lies in. */
  field: string
  depth: number
}

/** Of JSON that came in, by whatever way. */
export function checkJson(body: unknown, { jsonDepthMost, jsonItemsMost }: JsonLimits): void {
  // A list of what is left and no recursion: the depth is what is to be found out.
  const left: Place[] = [{ value: body, field: "body", depth: 0 }]
  for (let place = left.pop(); place; place = left.pop()) {
    const { value, field } = place
    if (typeof value === "string") checkText(value, field)
    if (typeof value !== "object" || value === null) continue
    const depth = place.depth + 1
    if (depth > jsonDepthMost)
      throw invalid(field, `Invalid input for field ${field}: it nests more than ${jsonDepthMost} deep.`)
    const isList = Array.isArray(value)
    const members = Object.entries(value)
    if (members.length > jsonItemsMost)
      throw invalid(field, `Invalid input for field ${field}: it has more than ${jsonItemsMost} members.`)
    for (const [name, member] of members) {
      if (!isList) checkText(name, field)
      left.push({ value: member, field: isList ? field : name, depth })
    }
  }
}

/** PostgreSQL's text has no U+0000, and half of a surrogate pair is no character at all. */
function checkText(text: string, field: string): void {
  const shown = field.replaceAll("\0", "")
  if (text.includes("\0"))
    throw invalid(shown, `Invalid input for field ${shown}: it holds the character U+0000.`)
  if (!text.isWellFormed())
    throw invalid(shown, `Invalid input for field ${shown}: it holds half of a surrogate pair.`)
}

/** Of a text that is no request's body. Null: no JSON, or `null`. */
export function parsedOrNull(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
