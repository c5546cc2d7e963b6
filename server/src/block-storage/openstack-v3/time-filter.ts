// Filters by time: `gt:2030-01-01T00:00:00,lt:2031-01-01T00:00:00`, all of which must hold.
import { invalid } from "../../platform/fault/fault.ts"
import type { Compared } from "../../platform/noun/list.ts"

const operators: Readonly<Record<string, Compared["by"]>> = {
  gt: "above",
  gte: "atLeast",
  eq: "equal",
  neq: "unequal",
  lt: "below",
  lte: "atMost",
}

export function readTimes(name: string, text: string): Compared[] {
  return text.split(",").map((part) => {
    const [, word = "", time = ""] = /^([^:]*):(.*)$/.exec(part.trim()) ?? []
    const by = Object.hasOwn(operators, word) ? operators[word] : undefined
    if (by === undefined)
      throw invalid(
        name,
        `Invalid ${name} filter ${JSON.stringify(part)}: write an operator and a time; ` +
          `the operators are ${Object.keys(operators).join(", ")}.`,
      )
    return { by, value: readTime(name, time) }
  })
}

const form = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(?:Z|([+-]\d\d):?(\d\d)?)?)?$/i

/** ISO 8601; UTC where no zone is said. */
function readTime(name: string, text: string): Date {
  const [, day, clock = "00:00", second = ":00", hours, minutes = "00"] = form.exec(text.trim()) ?? []
  const date = new Date(`${day}T${clock}${second}${hours ? `${hours}:${minutes}` : "Z"}`)
  if (!Number.isNaN(date.getTime())) return date
  throw invalid(
    name,
    `Invalid ${name} filter: ${JSON.stringify(text)} is no time; write YYYY-MM-DDThh:mm:ss.`,
  )
}
