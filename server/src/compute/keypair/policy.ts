import type { PolicyDefault } from "../../platform/policy/policy.ts"
import { adminOnly } from "../policy-rules.ts"

const ownOrAdmin = `(${adminOnly}) or user_id:%(user_id)s`

const rule = (verb: string, description: string): PolicyDefault => ({
  name: `os_compute_api:os-keypairs:${verb}`,
  check: ownOrAdmin,
  description,
  scopes: ["project"],
})

export const keypairPolicies: readonly PolicyDefault[] = [
  rule("index", "List key pairs of a user"),
  rule("create", "Create a key pair"),
  rule("show", "Show a key pair"),
  rule("delete", "Delete a key pair"),
]
