import {
  createRbacPolicies,
  deleteRbacPolicy,
  getRbacPolicy,
  listRbacPolicies,
  rbacPolicyNoun,
  updateRbacPolicy,
} from "../index.ts"
import { filledText } from "./kinds.ts"
import { resource, resourceRoutes } from "./resource.ts"

export const rbacPolicyRoutes = resourceRoutes(
  resource({
    noun: rbacPolicyNoun,
    singular: "rbac_policy",
    plural: "rbac_policies",
    takesMany: false,
    particulars: { target_tenant: { kind: filledText() } },
    list: listRbacPolicies,
    get: getRbacPolicy,
    create: createRbacPolicies,
    update: updateRbacPolicy,
    remove: deleteRbacPolicy,
  }),
)
