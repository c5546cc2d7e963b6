import type { PolicyDefault } from "../../platform/policy/policy.ts"
import { adminOnly } from "../policy-rules.ts"

const rule = (verb: string, description: string): PolicyDefault => ({
  name: `os_compute_api:os-aggregates:${verb}`,
  check: adminOnly,
  description,
  scopes: ["project"],
})

export const aggregatePolicies: readonly PolicyDefault[] = [
  rule("index", "List all aggregates"),
  rule("show", "Show details for an aggregate"),
  rule("create", "Create an aggregate"),
  rule("update", "Update name and/or availability zone for an aggregate"),
  rule("delete", "Delete an aggregate"),
  rule("set_metadata", "Create or replace metadata for an aggregate"),
  rule("add_host", "Add a host to an aggregate"),
  rule("remove_host", "Remove a host from an aggregate"),
  { ...rule("images", "Request image caching for an aggregate"), name: "compute:aggregates:images" },
]
