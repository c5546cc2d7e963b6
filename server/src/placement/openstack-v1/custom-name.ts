// Names of what people add to the standard resource classes and traits.
import { invalid } from "../../platform/fault/fault.ts"
import type { WireRequest } from "../../platform/http/wire.ts"

export const nameOf = (req: WireRequest) => req.params.name ?? ""
const customPattern = /^CUSTOM_[A-Z0-9_]+$/

export function checkCustom(name: string, what: string): void {
  if (customPattern.test(name) && name.length <= 255) return
  throw invalid(
    "name",
    `The ${what} is invalid. A valid ${what} must be no longer than 255 characters, start with the prefix ` +
      `"CUSTOM_" and use following characters: "A"-"Z", "0"-"9" and "_". Got: ${name}. It does not match ` +
      "^CUSTOM_[A-Z0-9_]+$.",
  )
}
