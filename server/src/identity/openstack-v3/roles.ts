import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import type { Fields } from "../../platform/schema/make.ts"
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
  type RoleRow,
  updateRole,
} from "../index.ts"
import { admitToOne } from "./admit.ts"
import { extraOf, given, readOldList, requireSameId } from "./read.ts"
import { description, member, name, nullableId, options } from "./schema.ts"
import { linkTo, pageReply, selfUrl } from "./view.ts"

const properties = { name, domain_id: nullableId, description, options }
const known = [...Object.keys(properties), "id", "links"]

function readRole(body: Fields<typeof properties>) {
  return given({
    domainId: body.domain_id,
    description: body.description,
    options: body.options,
    extra: extraOf(body, known),
  })
}

export function viewRole(ctx: Ctx, req: WireRequest, row: RoleRow): Record<string, unknown> {
  return {
    ...row.extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    description: row.description,
    options: row.options,
    links: linkTo(ctx, req, `roles/${row.id}`),
  }
}

export const roleRoutes = [
  route({
    method: "GET",
    path: "/roles",
    operation: listRoles,
    handler: async (ctx, req) => {
      const domainId = queryText(req.query, "domain_id")
      const list = readOldList(req.query, { name: "text" })
      return pageReply(ctx, req, "roles", await listRoles(ctx, { ...list, ...given({ domainId }) }), viewRole)
    },
  }),
  route({
    method: "POST",
    path: "/roles",
    operation: createRole,
    body: member("role", properties, { required: ["name"] }),
    handler: async (ctx, req) => {
      const { role } = req.body
      const row = await createRole(ctx, { name: role.name, ...readRole(role) })
      return { role: viewRole(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/roles/{role_id}",
    operation: getRole,
    handler: async (ctx, req) => ({
      role: viewRole(ctx, req, await getRole(ctx, { id: req.params.role_id ?? "" })),
    }),
  }),
  route({
    method: "PATCH",
    path: "/roles/{role_id}",
    operation: updateRole,
    body: member("role", properties, { minProperties: 1 }),
    admit: admitToOne(updateRole, "role"),
    handler: async (ctx, req) => {
      const id = req.params.role_id ?? ""
      const { role } = req.body
      requireSameId(role, id)
      const row = await updateRole(ctx, { id, ...given({ name: role.name }), ...readRole(role) })
      return { role: viewRole(ctx, req, row) }
    },
  }),
  route({
    method: "DELETE",
    path: "/roles/{role_id}",
    operation: deleteRole,
    handler: async (ctx, req) => {
      await deleteRole(ctx, { id: req.params.role_id ?? "" })
    },
  }),
]

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

function brief(ctx: Ctx, req: WireRequest, row: RoleRow) {
  return { id: row.id, name: row.name, links: linkTo(ctx, req, `roles/${row.id}`) }
}

function viewInferences(ctx: Ctx, req: WireRequest, prior: RoleRow, implies: readonly RoleRow[]) {
  return { prior_role: brief(ctx, req, prior), implies: implies.map((row) => brief(ctx, req, row)) }
}

function viewPair(ctx: Ctx, req: WireRequest, { prior, implied }: Inference) {
  return {
    role_inference: { prior_role: brief(ctx, req, prior), implies: brief(ctx, req, implied) },
    links: { self: selfUrl(ctx, req) },
  }
}
