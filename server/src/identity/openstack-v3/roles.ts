import { type TSchema, Type } from "typebox"
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
import { description, name, nullableId, options, text } from "./schema.ts"
import { selfLink } from "./told.ts"
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

const roleBrief = Type.Object({ id: text, name: text, links: selfLink })
const inferences = Type.Object({ prior_role: roleBrief, implies: Type.Array(roleBrief) })
const inference = Type.Object({ prior_role: roleBrief, implies: roleBrief })
const withLink = (key: string, shows: TSchema) => ({ answer: Type.Object({ [key]: shows, links: selfLink }) })

export const impliedRoleRoutes = [
  route({
    method: "GET",
    path: "/roles/{prior_role_id}/implies",
    operation: listImpliedRoles,
    told: withLink("role_inference", inferences),
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
    told: withLink("role_inference", inference),
    status: 201,
    handler: async (ctx, req) => viewPair(ctx, req, await createImpliedRole(ctx, pair(req))),
  }),
  route({
    method: "GET",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: getImpliedRole,
    told: withLink("role_inference", inference),
    handler: async (ctx, req) => viewPair(ctx, req, await getImpliedRole(ctx, pair(req))),
  }),
  route({
    method: "HEAD",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: getImpliedRole,
    status: 204,
    handler: (ctx, req) => getImpliedRole(ctx, pair(req)),
  }),
  route({
    method: "DELETE",
    path: "/roles/{prior_role_id}/implies/{implied_role_id}",
    operation: deleteImpliedRole,
    handler: (ctx, req) => deleteImpliedRole(ctx, pair(req)),
  }),
  route({
    method: "GET",
    path: "/role_inferences",
    operation: listInferences,
    told: withLink("role_inferences", Type.Array(inferences)),
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
