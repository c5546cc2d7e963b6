// Resource options under Keystone's names. A name that is not known is an error; null takes an option away.
import { invalid } from "../platform/fault/fault.ts"
import { forbidden } from "./faults.ts"
import type { Json } from "./tables.ts"

type OptionKind = "boolean" | "rules"
type OptionNames = Readonly<Record<string, OptionKind>>

export const placeOptions: OptionNames = { immutable: "boolean" }
export const roleOptions: OptionNames = placeOptions
export const userOptions: OptionNames = {
  ignore_change_password_upon_first_use: "boolean",
  ignore_password_expiry: "boolean",
  ignore_lockout_failure_attempts: "boolean",
  ignore_user_inactivity: "boolean",
  lock_password: "boolean",
  multi_factor_auth_enabled: "boolean",
  multi_factor_auth_rules: "rules",
}

/** The options after a change; throws for one that is unknown or of the wrong type. */
export function changeOptions(known: OptionNames, before: Json, changes: Json | undefined): Json {
  const after = { ...before }
  for (const [name, value] of Object.entries(changes ?? {})) {
    const kind = Object.hasOwn(known, name) ? known[name] : undefined
    if (!kind) {
      throw invalid(
        `options.${name}`,
        `There is no option ${name}; options are ${Object.keys(known).join(", ")}.`,
      )
    }
    if (value === null) {
      delete after[name]
      continue
    }
    if (kind === "boolean" && typeof value !== "boolean")
      throw invalid(`options.${name}`, `Invalid input for option ${name}: it must be true, false or null.`)
    if (kind === "rules" && !isRuleList(value)) {
      throw invalid(
        `options.${name}`,
        `Invalid input for option ${name}: it must be a list of non-empty lists of method names.`,
      )
    }
    after[name] = value
  }
  return after
}

function isRuleList(value: unknown): boolean {
  if (!Array.isArray(value)) return false
  const seen = new Set<string>()
  return value.every((rule) => {
    if (!Array.isArray(rule) || rule.length === 0 || !rule.every((m) => typeof m === "string")) return false
    if (new Set(rule).size !== rule.length) return false
    const key = JSON.stringify(rule)
    const isNew = !seen.has(key)
    seen.add(key)
    return isNew
  })
}

/** An immutable thing may only be made mutable again. */
export function refuseImmutable(
  what: string,
  row: { id: string; options: Json },
  change: "update" | "delete",
  newOptions?: Json,
): void {
  if (row.options.immutable !== true) return
  const isFreed = newOptions !== undefined && "immutable" in newOptions && newOptions.immutable !== true
  if (change === "update" && isFreed) return
  throw forbidden(
    `Unable to ${change} immutable ${what} resource: ${row.id}. Set resource option "immutable" to false first.`,
  )
}
