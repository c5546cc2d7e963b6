// Reading query parameters with errors that name the parameter.
import { invalid } from "../fault/fault.ts"
import type { WireRequest } from "./wire.ts"

type Query = WireRequest["query"]

/** The last value of a parameter; undefined when absent. */
export function queryText(query: Query, name: string): string | undefined {
  const value = query[name]
  return Array.isArray(value) ? value.at(-1) : value
}

/** Every value of a parameter that may come more than once. */
export function queryAll(query: Query, name: string): string[] {
  const value = query[name]
  return value === undefined ? [] : Array.isArray(value) ? value : [value]
}

const yes = new Set(["1", "t", "true", "on", "y", "yes"])
const no = new Set(["0", "f", "false", "off", "n", "no"])

/** What oslo.utils takes for a boolean, in any case; undefined for every other word. Trim before, where that is right. */
export function booleanWord(text: string): boolean | undefined {
  const word = text.toLowerCase()
  if (yes.has(word)) return true
  return no.has(word) ? false : undefined
}

/** A boolean as oslo.utils reads one; 400 for anything else. */
export function queryBoolean(query: Query, name: string): boolean | undefined {
  const text = queryText(query, name)
  if (text === undefined) return undefined
  const value = booleanWord(text.trim())
  if (value !== undefined) return value
  throw invalid(
    name,
    `Invalid input for query parameter ${name}: ${JSON.stringify(text)} is not a boolean; use true or false.`,
  )
}

export function queryInteger(
  query: Query,
  name: string,
  bounds: { min?: number; max?: number } = {},
): number | undefined {
  const text = queryText(query, name)
  if (text === undefined) return undefined
  const value = Number(text)
  if (!/^-?\d+$/.test(text.trim()) || !Number.isSafeInteger(value)) {
    throw invalid(
      name,
      `Invalid input for query parameter ${name}: ${JSON.stringify(text)} is not an integer.`,
    )
  }
  if (bounds.min !== undefined && value < bounds.min) {
    throw invalid(
      name,
      `Invalid input for query parameter ${name}: ${value} is less than the minimum of ${bounds.min}.`,
    )
  }
  if (bounds.max !== undefined && value > bounds.max) {
    throw invalid(
      name,
      `Invalid input for query parameter ${name}: ${value} is greater than the maximum of ${bounds.max}.`,
    )
  }
  return value
}
