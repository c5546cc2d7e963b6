import { invalid } from "../../platform/fault/fault.ts"
import { atLeast } from "../../platform/http/microversion.ts"
import type { WireRequest } from "../../platform/http/wire.ts"

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
