// What the HTTP edge itself refuses, before any handler.
import { fault } from "../fault/fault.ts"

/** The path is one of the API's, but not in this microversion. */
export const routeNotServed = fault(
  "not_found",
  "api.route.not_found",
  () => "The resource could not be found.",
)

export const pathUnknown = fault("not_found", "api.path.unknown", () => "The resource could not be found.")

export const methodNotAllowed = fault(
  "unsupported",
  "api.method.not_allowed",
  (method: string, _allow: readonly string[]) => `The method ${method} is not allowed for this resource.`,
  (_method, allow) => ({ allow }),
)
