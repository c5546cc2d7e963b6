// Rules under oslo.policy's names with the defaults of Keystone 2025.1.
import { anyScope, declare, systemOrProject } from "./rules.ts"

export const tokenPolicies = [
  declare("identity:get_auth_catalog", "", undefined, "Show auth catalog."),
  declare("identity:get_auth_projects", "", undefined, "Show auth projects."),
  declare("identity:get_auth_domains", "", undefined, "Show auth domains."),
  declare("identity:get_auth_system", "", undefined, "Show auth system."),
  declare(
    "identity:check_token",
    "rule:admin_required or (role:reader and system_scope:all) or rule:token_subject",
    anyScope,
    "Check token.",
  ),
  declare(
    "identity:validate_token",
    "rule:admin_required or (role:reader and system_scope:all) or rule:service_role or rule:token_subject",
    anyScope,
    "Validate token.",
  ),
  declare("identity:revoke_token", "rule:admin_required or rule:token_subject", anyScope, "Take away token."),
  declare("identity:ec2tokens_validate", "rule:service_or_admin", anyScope, "Ec2tokens validate."),
  declare("identity:list_revoke_events", "rule:service_or_admin", systemOrProject, "List revoke events."),
  declare("identity:s3tokens_validate", "rule:service_or_admin", anyScope, "S3tokens validate."),
]
