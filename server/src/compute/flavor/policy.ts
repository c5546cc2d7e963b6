import { type PolicyDefault, projectRules } from "../../platform/policy/policy.ts"
import { adminOnly, projectReaderOrAdmin } from "../policy-rules.ts"

const rule = projectRules("os_compute_api:")

export const flavorPolicies: readonly PolicyDefault[] = [
  rule("os-flavor-manage:create", adminOnly, "Create a flavor"),
  rule("os-flavor-manage:update", adminOnly, "Update a flavor"),
  rule("os-flavor-manage:delete", adminOnly, "Delete a flavor"),
  rule("os-flavor-access", adminOnly, "List who may use a flavor"),
  rule("os-flavor-access:add_tenant_access", adminOnly, "Let a project use a flavor"),
  rule("os-flavor-access:remove_tenant_access", adminOnly, "Take a flavor from a project"),
  rule("os-flavor-extra-specs:index", projectReaderOrAdmin, "List extra specs of a flavor"),
  rule("os-flavor-extra-specs:show", projectReaderOrAdmin, "Show an extra spec of a flavor"),
  rule("os-flavor-extra-specs:create", adminOnly, "Set extra specs of a flavor"),
  rule("os-flavor-extra-specs:update", adminOnly, "Change an extra spec of a flavor"),
  rule("os-flavor-extra-specs:delete", adminOnly, "Delete an extra spec of a flavor"),
]
