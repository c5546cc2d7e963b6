import { type PolicyDefault, projectRules } from "../../platform/policy/policy.ts"
import { adminOnly, projectReaderOrAdmin } from "../policy-rules.ts"

const rule = projectRules("os_compute_api:")

export const usagePolicies: readonly PolicyDefault[] = [
  rule("os-simple-tenant-usage:show", projectReaderOrAdmin, "Show usage statistics for a specific tenant"),
  rule("os-simple-tenant-usage:list", adminOnly, "List per tenant usage statistics for all tenants"),
  rule("os-instance-usage-audit-log:list", adminOnly, "List all usage audits"),
  rule(
    "os-instance-usage-audit-log:show",
    adminOnly,
    "List all usage audits that occurred before a specified time",
  ),
]
