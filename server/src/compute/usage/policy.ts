import type { PolicyDefault } from "../../platform/policy/policy.ts"
import { adminOnly, projectReaderOrAdmin } from "../policy-rules.ts"

const rule = (verb: string, check: string, description: string): PolicyDefault => ({
  name: `os_compute_api:os-simple-tenant-usage:${verb}`,
  check,
  description,
  scopes: ["project"],
})

export const usagePolicies: readonly PolicyDefault[] = [
  rule("show", projectReaderOrAdmin, "Show usage statistics for a specific tenant"),
  rule("list", adminOnly, "List per tenant usage statistics for all tenants"),
]
