// An application credential may be good for some requests only: its access rules name service, method and path.
import type { AccessRuleFacts } from "../token/facts.ts"

export interface RequestFacts {
  /** Word of the API: `compute`, `network` … */
  service: string
  method: string
  /** From the version on: `/v2.1/servers`. */
  path: string
}

/** Service types of the catalog that mean the same API. */
const aliases: Readonly<Record<string, string>> = {
  volume: "block-storage",
  volumev2: "block-storage",
  volumev3: "block-storage",
  "block-store": "block-storage",
}

/** Whether one of the rules admits the request. */
export function admitsRequest(rules: readonly AccessRuleFacts[], request: RequestFacts): boolean {
  const path = request.path.split("?", 1)[0] ?? ""
  return rules.some(
    (rule) =>
      (aliases[rule.service] ?? rule.service) === request.service &&
      rule.method === request.method &&
      matchesPath(rule.path, path),
  )
}

/** A character, or any of those that a wildcard stands for, any number of times. */
type Step = { is: string } | { one: "any but slash" } | { many: "any" | "any but slash" }

function stepsOf(pattern: string): Step[] {
  return pattern.split(/(\*\*|\*|\{[^}/]*\})/).flatMap((part): Step[] => {
    if (part === "**") return [{ many: "any" }]
    if (part === "*" || /^\{.*\}$/.test(part)) return [{ one: "any but slash" }, { many: "any but slash" }]
    return [...part].map((is) => ({ is }))
  })
}

/**
 * `*` and `{name}` stand for one part of the path, `**` for any number. All ways to match go forward together: as a
 * regular expression, several `**` would take time that grows with a power of the path's length.
 */
function matchesPath(pattern: string, path: string): boolean {
  const steps = stepsOf(pattern)
  let at = new Set<number>()
  const reach = (places: Set<number>, place: number) => {
    places.add(place)
    const step = steps[place]
    // A wildcard for any number may stand for nothing.
    if (step && "many" in step) reach(places, place + 1)
  }
  reach(at, 0)
  for (const char of path.endsWith("/") && !pattern.endsWith("/") ? path.slice(0, -1) : path) {
    const next = new Set<number>()
    for (const place of at) {
      const step = steps[place]
      if (!step) continue
      if ("is" in step ? step.is === char : "one" in step ? char !== "/" : false) reach(next, place + 1)
      if ("many" in step && (step.many === "any" || char !== "/")) reach(next, place)
    }
    at = next
  }
  return at.has(steps.length)
}
