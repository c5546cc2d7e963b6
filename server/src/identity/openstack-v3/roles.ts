import type { Ctx } from "../../platform/context/context.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import {
  createImpliedRole,
  createRole,
  deleteImpliedRole,
  deleteRole,
  getImpliedRole,
  getRole,
  type Inference,
  listImpliedRoles,
  listInferences,
  listRoles,
  type Role,
  roleNoun,
  updateRole,
} from "../index.ts"
import { resourceRoutes, viewOf } from "./resource.ts"
import { description, name, nullableId, options } from "./schema.ts"
import { linkTo, selfUrl } from "./view.ts"

export const viewRole = viewOf(roleNoun, ({ id }) => `roles/${id}`)

export const roleRoutes = resourceRoutes({
  noun: roleNoun,
  singular: "role",
  view: viewRole,
  properties: { name, domain_id: nullableId, description, options },
  required: ["name"],
  list: listRoles,
  get: getRole,
  create: createRole,
  update: updateRole,
  remove: deleteRole,
})

export const impliedRoleRoutes = [
  route({
    method: "GET",
    path: "/roles/{prior_role_id}/implies",
    operation: listImpliedRoles,
    handler: async (ctx, req) => {
      const { prior, implies } = await listImpliedRoles(ctx, { priorRoleId: req.params.prior_role_id ?? "" })
      return {
        role_inference: viewInferences(ctx, req, prior, implies),
        links: { self: selfUrl(ctx, req) },
      }
    },
  }),
  route({
    method: "PUT",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: createImpliedRole,
    status: 201,
    handler: async (ctx, req) => viewPair(ctx, req, await createImpliedRole(ctx, pair(req))),
  }),
  route({
    method: "GET",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: getImpliedRole,
    handler: async (ctx, req) => viewPair(ctx, req, await getImpliedRole(ctx, pair(req))),
  }),
  route({
    method: "HEAD",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: getImpliedRole,
    status: 204,
    handler: async (ctx, req) => {
      await getImpliedRole(ctx, pair(req))
    },
  }),
  route({
    method: "DELETE",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: deleteImpliedRole,
    handler: async (ctx, req) => {
      await deleteImpliedRole(ctx, pair(req))
    },
  }),
  route({
    method: "GET",
    path: "/role_inferences",
    operation: listInferences,
    handler: async (ctx, req) => ({
      role_inferences: (await listInferences(ctx, {})).map(({ prior, implies }) =>
        viewInferences(ctx, req, prior, implies),
      ),
      links: { self: selfUrl(ctx, req) },
    }),
  }),
]

function pair(req: WireRequest) {
  return { priorRoleId: req.params.prior_role_id ?? "", impliedRoleId: req.params.implied_role_id ?? "" }
}

function brief(ctx: Ctx, req: WireRequest, row: Role) {
  return { id: row.id, name: row.name, links: linkTo(ctx, req, `roles/${row.id}`) }
}

function viewInferences(ctx: Ctx, req: WireRequest, prior: Role, implies: readonly Role[]) {
  return { prior_role: brief(ctx, req, prior), implies: implies.map((row) => brief(ctx, req, row)) }
}

function viewPair(ctx: Ctx, req: WireRequest, { prior, implied }: Inference) {
  return {
    role_inference: { prior_role: brief(ctx, req, prior), implies: brief(ctx, req, implied) },
    links: { self: selfUrl(ctx, req) },
  }
}
