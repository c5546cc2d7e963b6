import type { PolicyDefault } from "../../platform/policy/policy.ts"
import { catalogPolicies } from "./catalog.ts"
import { projectPolicies } from "./project.ts"
import { rolePolicies } from "./role.ts"
import { basePolicies } from "./rules.ts"
import { tokenPolicies } from "./token.ts"
import { userPolicies } from "./user.ts"

export const identityPolicies: readonly PolicyDefault[] = [
  ...basePolicies,
  ...projectPolicies,
  ...userPolicies,
  ...rolePolicies,
  ...catalogPolicies,
  ...tokenPolicies,
]
