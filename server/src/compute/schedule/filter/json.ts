import type { HostState } from "../host-state.ts"
import type { Filter } from "./filter.ts"
import { hostFact } from "./host-fact.ts"

/** Hint `query`: `["and", [">=", "$free_ram_mb", 1024], ["=", "$cpu_info.arch", "x86_64"]]`, as JSON text. */
export const jsonFilter: Filter = {
  name: "JsonFilter",
  needs: ["description", "instances", "ioOps"],
  isAsked: ({ hints }) => queryText(hints.query) !== null,
  refuse: (host, { hints }) => {
    const text = queryText(hints.query) ?? "[]"
    const fix = "change the hint query, or leave it out"
    try {
      const query: unknown = JSON.parse(text)
      if (isTrue(evaluate(query, host, 0))) return null
    } catch {
      return { why: `the hint query is none: ${text}`, fix, forUser: "the hint query cannot be read" }
    }
    return {
      why: `it is not what the hint query asks for: ${text}`,
      fix,
      forUser: "the hint query excludes it",
    }
  },
}

function queryText(hint: unknown): string | null {
  const [first] = [hint].flat()
  return typeof first === "string" && first.trim() !== "" ? first : null
}

const depthMost = 50
const operators: Record<string, (args: readonly unknown[]) => unknown> = {
  "=": (args) => ofFirst(args, (a, b) => a === b),
  "<": (args) => ofFirst(args, (a, b) => isBefore(a, b)),
  ">": (args) => ofFirst(args, (a, b) => isBefore(b, a)),
  "<=": (args) => ofFirst(args, (a, b) => a === b || isBefore(a, b)),
  ">=": (args) => ofFirst(args, (a, b) => a === b || isBefore(b, a)),
  in: ([first, ...rest]) => rest.flat().includes(first),
  not: (args) => args.map((arg) => !isTrue(arg)),
  or: (args) => args.some(isTrue),
  and: (args) => args.every(isTrue),
}

function evaluate(query: unknown, host: HostState, depth: number): unknown {
  if (depth > depthMost) throw new Error("too deep")
  if (typeof query === "string" && query.startsWith("$")) return hostFact(host, query.slice(1).split("."))
  if (!Array.isArray(query)) return query
  if (query.length === 0) return true
  const [name, ...args] = query as unknown[]
  const operator = typeof name === "string" && Object.hasOwn(operators, name) ? operators[name] : undefined
  if (!operator) throw new Error("no such operator")
  return operator(args.map((arg) => evaluate(arg, host, depth + 1)))
}

/** The first of them beside each of the others. */
function ofFirst(args: readonly unknown[], holds: (first: unknown, other: unknown) => boolean): boolean {
  const [first, ...others] = args
  return others.length > 0 && others.every((other) => holds(first, other))
}

function isBefore(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b
  return typeof a === "string" && typeof b === "string" && a < b
}

function isTrue(value: unknown): boolean {
  return Array.isArray(value) ? value.some(isTrue) : Boolean(value)
}
