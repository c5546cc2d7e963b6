import { type PolicyDefault, projectRules } from "../../platform/policy/policy.ts"
import { adminOnly, anyone, projectReaderOrAdmin } from "../policy-rules.ts"

const rule = projectRules("os_compute_api:")

export const quotaPolicies: readonly PolicyDefault[] = [
  rule("os-quota-sets:update", adminOnly, "Update the quotas"),
  rule("os-quota-sets:defaults", anyone, "List default quotas"),
  rule("os-quota-sets:show", projectReaderOrAdmin, "Show a quota"),
  rule("os-quota-sets:delete", adminOnly, "Revert quotas to defaults"),
  rule("os-quota-sets:detail", projectReaderOrAdmin, "Show the detail of quota"),
  rule("os-quota-class-sets:show", adminOnly, "List quotas for specific quota classes"),
  rule("os-quota-class-sets:update", adminOnly, "Update quotas for specific quota class"),
  rule("limits", anyone, "Show rate and absolute limits for the current user project"),
  rule("limits:other_project", adminOnly, "Show rate and absolute limits of other project"),
]
