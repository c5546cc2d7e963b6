import type { Ctx } from "../../platform/context/context.ts"
import {
  createRbacPolicies,
  deleteRbacPolicy,
  getRbacPolicy,
  listRbacPolicies,
  type RbacPolicy,
  updateRbacPolicy,
} from "../index.ts"
import { filledText, oneOf, text, uuid } from "./kinds.ts"
import { resourceRoutes } from "./resource.ts"

const objectTypes = ["network", "security_group", "address_scope", "subnetpool", "address_group"]

export const rbacPolicyRoutes = resourceRoutes<RbacPolicy>({
  singular: "rbac_policy",
  plural: "rbac_policies",
  path: "/rbac-policies",
  operations: {
    get: getRbacPolicy,
    create: createRbacPolicies,
    update: updateRbacPolicy,
    remove: deleteRbacPolicy,
  },
  takesMany: false,
  attributes: {
    id: { kind: uuid, filter: true, sort: true },
    tenant_id: { kind: text(), key: "projectId", post: true, filter: true, sort: true },
    object_type: { kind: oneOf(objectTypes), post: true, required: true, filter: true },
    object_id: { kind: uuid, post: true, required: true, filter: true },
    action: {
      kind: oneOf(["access_as_shared", "access_as_external"]),
      post: true,
      required: true,
      filter: true,
    },
    target_tenant: { kind: filledText(), post: true, put: true, required: true, filter: true },
  },
  list: listRbacPolicies,
  get: (ctx: Ctx, rbacPolicyId) => getRbacPolicy(ctx, { rbacPolicyId }),
  create: (ctx, inputs) => createRbacPolicies(ctx, { policies: inputs }),
  update: (ctx, rbacPolicyId, changes) => updateRbacPolicy(ctx, { rbacPolicyId, changes }),
  remove: (ctx, rbacPolicyId) => deleteRbacPolicy(ctx, { rbacPolicyId }),
})
