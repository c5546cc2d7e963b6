// Rules under oslo.policy's names with the defaults of Keystone 2025.1.
import { adminRequired, anyOf, anyone, anyScope, declare, systemOrProject, systemReader } from "./rules.ts"

export const tokenPolicies = [
  declare("identity:get_auth_catalog", anyone, undefined, "Show auth catalog."),
  declare("identity:get_auth_projects", anyone, undefined, "Show auth projects."),
  declare("identity:get_auth_domains", anyone, undefined, "Show auth domains."),
  declare("identity:get_auth_system", anyone, undefined, "Show auth system."),
  declare(
    "identity:check_token",
    anyOf(adminRequired, systemReader, "rule:token_subject"),
    anyScope,
    "Check token.",
  ),
  declare(
    "identity:validate_token",
    anyOf(adminRequired, systemReader, "rule:service_role", "rule:token_subject"),
    anyScope,
    "Validate token.",
  ),
  declare("identity:revoke_token", anyOf(adminRequired, "rule:token_subject"), anyScope, "Take away token."),
  declare(
    "identity:ec2tokens_validate",
    "rule:service_or_admin",
    anyScope,
    "Get a token for an EC2 signature.",
  ),
  declare(
    "identity:s3tokens_validate",
    "rule:service_or_admin",
    anyScope,
    "Get a token for an S3 signature.",
  ),
  declare("identity:list_revoke_events", "rule:service_or_admin", systemOrProject, "List revoke events."),
]
