import { type PolicyDefault, projectRules } from "../../platform/policy/policy.ts"
import { adminOnly, projectMemberOrAdmin, projectReaderOrAdmin } from "../policy-rules.ts"

const rule = projectRules("os_compute_api:os-server-groups:")

export const serverGroupPolicies: readonly PolicyDefault[] = [
  rule("create", projectMemberOrAdmin, "Create a new server group"),
  rule("delete", projectMemberOrAdmin, "Delete a server group"),
  rule("index", projectReaderOrAdmin, "List all server groups"),
  rule("index:all_projects", adminOnly, "List all server groups for all projects"),
  rule("show", projectReaderOrAdmin, "Show details of a server group"),
]
