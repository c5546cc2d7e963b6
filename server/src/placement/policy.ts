import type { PolicyDefault } from "../platform/policy/policy.ts"

const adminOrService = "rule:context_is_admin or role:service"

const rule = (name: string, description: string, check = adminOrService): PolicyDefault => ({
  name: `placement:${name}`,
  check,
  description,
  scopes: ["project"],
})

export const policies: readonly PolicyDefault[] = [
  rule("resource_providers:list", "List resource providers."),
  rule("resource_providers:create", "Create a resource provider."),
  rule("resource_providers:show", "Show a resource provider."),
  rule("resource_providers:update", "Rename a resource provider or move it in its tree."),
  rule("resource_providers:delete", "Delete a resource provider."),
  rule("resource_classes:list", "List resource classes."),
  rule("resource_classes:create", "Create a resource class."),
  rule("resource_classes:show", "Show a resource class."),
  rule("resource_classes:update", "Ensure or rename a resource class."),
  rule("resource_classes:delete", "Delete a resource class."),
  rule("resource_providers:inventories:list", "List the inventories of a resource provider."),
  rule("resource_providers:inventories:create", "Add an inventory to a resource provider."),
  rule("resource_providers:inventories:show", "Show an inventory of a resource provider."),
  rule("resource_providers:inventories:update", "Replace inventories of a resource provider."),
  rule("resource_providers:inventories:delete", "Delete inventories of a resource provider."),
  rule("resource_providers:aggregates:list", "List the aggregates of a resource provider."),
  rule("resource_providers:aggregates:update", "Set the aggregates of a resource provider."),
  rule("resource_providers:traits:list", "List the traits of a resource provider."),
  rule("resource_providers:traits:update", "Set the traits of a resource provider."),
  rule("resource_providers:traits:delete", "Remove all traits of a resource provider."),
  rule("resource_providers:usages", "Show the usages of a resource provider."),
  rule("resource_providers:allocations:list", "List the allocations on a resource provider."),
  rule(
    "usages",
    "Show the usages of a project.",
    `${adminOrService} or (role:reader and project_id:%(project_id)s)`,
  ),
  rule("traits:list", "List traits."),
  rule("traits:show", "Show whether a trait exists."),
  rule("traits:update", "Ensure a custom trait."),
  rule("traits:delete", "Delete a custom trait."),
  rule("allocations:manage", "Write the allocations of several consumers at once."),
  rule("allocations:list", "List the allocations of a consumer."),
  rule("allocations:update", "Write the allocations of a consumer."),
  rule("allocations:delete", "Delete the allocations of a consumer."),
  rule("allocation_candidates:list", "List allocation candidates."),
  rule("reshaper:reshape", "Move inventories and allocations between providers in one step.", "role:service"),
]
