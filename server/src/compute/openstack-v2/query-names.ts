import { invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { JsonSchema, WireRequest } from "../../platform/http/wire.ts"
import { pageQuery, querySchema } from "../../platform/noun/query-schema.ts"

/** From 2.75 on a query parameter that a call does not know is refused; before it is passed over. */
export function checkQueryNames(req: WireRequest, known: readonly string[]): void {
  if (!atLeast(req.version, "2.75")) return
  const strange = Object.keys(req.query).find((name) => !known.includes(name))
  if (strange !== undefined)
    throw invalid(
      strange,
      `Invalid query parameters: Additional properties are not allowed ('${strange}' was unexpected); ` +
        (known.length > 0 ? `this call takes ${known.join(", ")}.` : "this call takes none."),
    )
}

const count = { type: "integer", minimum: 0 }
const time = { type: "string", description: "ISO 8601." }

/** Those that are more than a text. */
const forms: Readonly<Record<string, JsonSchema>> = {
  ...pageQuery,
  offset: count,
  minRam: count,
  minDisk: count,
  sort_dir: { type: "string", enum: ["asc", "desc"] },
  "changes-since": time,
  "changes-before": time,
  start: time,
  end: time,
  with_servers: { type: "boolean" },
}

/** Parameters by the microversion that has them first. */
export type Since = readonly (readonly [from: string, names: readonly string[]])[]

/** For documents: the query of a call that takes these. */
export function toldQuery(
  names: readonly string[] | Since,
  own: Readonly<Record<string, JsonSchema>> = {},
): { query: JsonSchema } {
  const parameters = names.flatMap((each) => {
    const [from, there] = typeof each === "string" ? ["2.1", [each]] : each
    const since = from === "2.1" ? {} : { description: `From ${from} on.` }
    return there.map((name) => [name, { ...(own[name] ?? forms[name] ?? { type: "string" }), ...since }])
  })
  return { query: querySchema(Object.fromEntries(parameters)) }
}
