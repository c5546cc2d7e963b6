// `policy.yaml` in the data directory: single rules that replace the defaults, as oslo.policy's file does.
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import { Fault } from "../fault/fault.ts"
import type { PolicyEngine } from "./policy.ts"

/** Takes the file's rules over; without a file nothing changes. A rule that is wrong stops the start and is named. */
export function applyPolicyFile(policy: PolicyEngine, path: string): number {
  let text: string
  try {
    text = readFileSync(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return 0
    throw new Fault("invalid", "policy.file_unreadable", `${path} cannot be read.`, { cause: error })
  }
  const rules: unknown = parse(text) ?? {}
  if (typeof rules !== "object" || rules === null || Array.isArray(rules))
    throw wrong(path, "must be a mapping of rules")
  for (const [name, check] of Object.entries(rules)) {
    if (typeof check !== "string") throw wrong(path, `${name} must be text, such as "role:admin"`)
    if (!policy.has(name))
      throw wrong(path, `there is no rule ${name}; docs/reference/permissions.md lists them`)
  }
  try {
    policy.override(rules as Record<string, string>)
  } catch (error) {
    throw wrong(path, error instanceof Error ? error.message : String(error))
  }
  return Object.keys(rules).length
}

function wrong(path: string, why: string): Fault {
  return new Fault("invalid", "policy.file_invalid", `${path}: ${why}.`)
}
