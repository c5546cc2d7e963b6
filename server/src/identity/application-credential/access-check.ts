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
      pathPattern(rule.path).test(path),
  )
}

const known = new Map<string, RegExp>()
const patternsMax = 1_000

/** `*` and `{name}` stand for one part of the path, `**` for any number. */
function pathPattern(text: string): RegExp {
  const made = known.get(text)
  if (made) return made
  const source = text
    .split(/(\*\*|\*|\{[^}/]*\})/)
    .map((part) => {
      if (part === "**") return ".*"
      if (part === "*" || /^\{.*\}$/.test(part)) return "[^/]+"
      return part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&")
    })
    .join("")
  const pattern = new RegExp(`^${source}/?$`)
  if (known.size >= patternsMax) known.clear()
  known.set(text, pattern)
  return pattern
}
