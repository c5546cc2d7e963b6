// Rules under oslo.policy's names with the defaults of Keystone 2025.1.
import {
  adminOrSystemReader,
  adminRequired,
  anyOf,
  anyScope,
  declare,
  systemOrProject,
  systemReader,
} from "./rules.ts"

const places = ["project.domain_id", "domain.id"]
const actors = ["user.domain_id", "group.domain_id"]

/** Who has the role in the domain of both the actor and the place of a grant. */
const inDomainOfBoth = (role: string) =>
  actors.flatMap((actor) =>
    places.map(
      (place) => `(role:${role} and domain_id:%(target.${actor})s and domain_id:%(target.${place})s)`,
    ),
  )
const ownOrGlobalRole = "(domain_id:%(target.role.domain_id)s or None:%(target.role.domain_id)s)"

const readsGrant = anyOf(
  adminRequired,
  systemReader,
  `((${anyOf(...inDomainOfBoth("reader"))}) and ${ownOrGlobalRole})`,
)
const listsGrants = anyOf(adminRequired, systemReader, ...inDomainOfBoth("reader"))
const changesGrant = anyOf(
  adminRequired,
  `((${anyOf(...inDomainOfBoth("admin"))}) and ${ownOrGlobalRole})`,
  `((${anyOf(...inDomainOfBoth("manager"))}) and rule:domain_managed_target_role)`,
)

export const rolePolicies = [
  declare(
    "identity:get_role",
    anyOf(adminRequired, systemReader, "(role:manager and rule:domain_managed_target_role)"),
    anyScope,
    "Show role.",
  ),
  declare(
    "identity:list_roles",
    anyOf(adminRequired, systemReader, "(role:manager and not domain_id:None)"),
    anyScope,
    "List roles.",
  ),
  declare("identity:create_role", adminRequired, systemOrProject, "Create role."),
  declare("identity:update_role", adminRequired, systemOrProject, "Change role."),
  declare("identity:delete_role", adminRequired, systemOrProject, "Delete role."),
  declare("identity:get_domain_role", adminOrSystemReader, systemOrProject, "Show domain role."),
  declare("identity:list_domain_roles", adminOrSystemReader, systemOrProject, "List domain roles."),
  declare("identity:create_domain_role", adminRequired, systemOrProject, "Create domain role."),
  declare("identity:update_domain_role", adminRequired, systemOrProject, "Change domain role."),
  declare("identity:delete_domain_role", adminRequired, systemOrProject, "Delete domain role."),
  declare("identity:get_implied_role", adminOrSystemReader, systemOrProject, "Show implied role."),
  declare("identity:list_implied_roles", adminOrSystemReader, systemOrProject, "List implied roles."),
  declare("identity:create_implied_role", adminRequired, systemOrProject, "Create implied role."),
  declare("identity:delete_implied_role", adminRequired, systemOrProject, "Delete implied role."),
  declare(
    "identity:list_role_inference_rules",
    adminOrSystemReader,
    systemOrProject,
    "List role inference rules.",
  ),
  declare("identity:check_implied_role", adminOrSystemReader, systemOrProject, "Check implied role."),
  declare("identity:check_grant", readsGrant, anyScope, "Check grant."),
  declare("identity:list_grants", listsGrants, anyScope, "List grants."),
  declare("identity:create_grant", changesGrant, anyScope, "Create grant."),
  declare("identity:revoke_grant", changesGrant, anyScope, "Take away grant."),
  declare(
    "identity:list_system_grants_for_user",
    adminOrSystemReader,
    systemOrProject,
    "List system grants for user.",
  ),
  declare(
    "identity:check_system_grant_for_user",
    adminOrSystemReader,
    systemOrProject,
    "Check system grant for user.",
  ),
  declare(
    "identity:create_system_grant_for_user",
    adminRequired,
    systemOrProject,
    "Create system grant for user.",
  ),
  declare(
    "identity:revoke_system_grant_for_user",
    adminRequired,
    systemOrProject,
    "Take away system grant for user.",
  ),
  declare(
    "identity:list_system_grants_for_group",
    adminOrSystemReader,
    systemOrProject,
    "List system grants for group.",
  ),
  declare(
    "identity:check_system_grant_for_group",
    adminOrSystemReader,
    systemOrProject,
    "Check system grant for group.",
  ),
  declare(
    "identity:create_system_grant_for_group",
    adminRequired,
    systemOrProject,
    "Create system grant for group.",
  ),
  declare(
    "identity:revoke_system_grant_for_group",
    adminRequired,
    systemOrProject,
    "Take away system grant for group.",
  ),
  declare(
    "identity:list_role_assignments",
    anyOf(adminRequired, systemReader, "(role:reader and domain_id:%(target.domain_id)s)"),
    anyScope,
    "List role assignments.",
  ),
  declare(
    "identity:list_role_assignments_for_tree",
    anyOf(adminRequired, systemReader, "(role:reader and domain_id:%(target.domain_id)s)"),
    anyScope,
    "List role assignments for tree.",
  ),
]
