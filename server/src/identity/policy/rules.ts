import type { PolicyDefault, Scope } from "../../platform/policy/policy.ts"

export const adminRequired = "rule:admin_required"
export const systemReader = "(role:reader and system_scope:all)"
/** Everybody with a token. */
export const anyone = ""

/** Any of the checks is enough; each that has an `and` must stand in parentheses. */
export function anyOf(...checks: readonly string[]): string {
  return checks.join(" or ")
}

export const adminOrSystemReader = anyOf(adminRequired, systemReader)

export const anyScope = ["system", "domain", "project"] as const
export const systemOrProject = ["system", "project"] as const
export const projectOnly = ["project"] as const

export function declare(
  name: string,
  check: string,
  scopes: readonly Scope[] | undefined,
  description: string,
): PolicyDefault {
  return { name, check, description, ...(scopes ? { scopes } : {}) }
}

/** Rules that the others name. */
export const basePolicies = [
  declare("context_is_admin", "role:admin", undefined, "Whom every service takes for an administrator."),
  declare("admin_required", "rule:context_is_admin", undefined, "An administrator of the identity service."),
  declare("service_role", "role:service", undefined, "A service of the cloud."),
  declare("service_or_admin", "rule:admin_required or rule:service_role", undefined, "Either of the two."),
  declare(
    "token_subject",
    "user_id:%(target.token.user_id)s",
    undefined,
    "The user of the token in question.",
  ),
  declare(
    "domain_managed_target_role",
    "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s",
    undefined,
    "Roles that the manager of a domain may give.",
  ),
]
