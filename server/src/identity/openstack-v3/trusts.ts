import { Type } from "typebox"
import { nothing, one } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
import { gone } from "../../platform/http/versions.ts"
import { route, type WireRequest } from "../../platform/http/wire.ts"
import { object, typed } from "../../platform/schema/make.ts"
import {
  createTrust,
  deleteTrust,
  getTrust,
  getTrustRole,
  listTrustRoles,
  listTrusts,
  type Trust,
  trustNoun,
  usesMost,
} from "../index.ts"
import { given } from "./read.ts"
import { readerOf, showsLike, type View, viewOf } from "./resource.ts"
import { viewRole } from "./roles.ts"
import { idOrName, looseId, member, strictBoolean, text, textOrNull } from "./schema.ts"
import { listRoute, thingRoute } from "./shown-routes.ts"
import { listLinks, listOf, textQuery } from "./told.ts"
import { linkTo, listReply } from "./view.ts"

const properties = {
  trustor_user_id: looseId,
  trustee_user_id: looseId,
  impersonation: strictBoolean,
  project_id: textOrNull,
  expires_at: textOrNull,
  remaining_uses: typed(["integer", "null"], { minimum: 1, maximum: usesMost }),
  allow_redelegation: typed(["boolean", "null"]),
  redelegation_count: typed(["integer", "null"], { minimum: 0 }),
  roles: Type.Array(object({ id: text, name: text }, [], idOrName)),
}
const pathOf = ({ id }: Pick<Trust, "id">) => `OS-TRUST/trusts/${id}`

const unlike = { deleted_at: nothing, roles: gone }
const viewListed = viewOf(trustNoun, pathOf, () => ({ deleted_at: null, roles: undefined }), unlike)
const withRoles = { roles: Type.Array(viewRole.shows), roles_links: listLinks }
const viewTrust: View<Trust> = Object.assign(
  (ctx: Ctx, req: WireRequest, trust: Trust) => ({
    ...viewListed(ctx, req, trust),
    roles: trust.roles.map((role) => viewRole(ctx, req, role)),
    roles_links: { self: linkTo(ctx, req, `${pathOf(trust)}/roles`).self, next: null, previous: null },
  }),
  { shows: showsLike(viewListed, "TrustWithRoles", withRoles) },
)
const idOf = (req: WireRequest) => ({ id: req.params.trust_id ?? "" })

const reader = readerOf({ noun: trustNoun })

export const trustRoutes = [
  route({
    method: "GET",
    path: "/OS-TRUST/trusts",
    operation: listTrusts,
    told: { query: textQuery("trustor_user_id", "trustee_user_id"), ...listOf("trusts", viewListed.shows) },
    handler: async (ctx, req) => {
      const trusts = await listTrusts(
        ctx,
        given({
          trustorUserId: queryText(req.query, "trustor_user_id"),
          trusteeUserId: queryText(req.query, "trustee_user_id"),
        }),
      )
      return listReply(ctx, req, "trusts", trusts, viewListed)
    },
  }),
  route({
    method: "POST",
    path: "/OS-TRUST/trusts",
    operation: createTrust,
    told: one("trust", viewTrust.shows),
    body: member("trust", properties, { required: ["trustee_user_id", "trustor_user_id", "impersonation"] }),
    handler: async (ctx, req) => {
      const trust = await createTrust(ctx, reader.create(req.body.trust))
      return { trust: viewTrust(ctx, req, trust) }
    },
  }),
  thingRoute("/OS-TRUST/trusts/{trust_id}", getTrust, idOf, ["trust", viewTrust]),
  route({
    method: "DELETE",
    path: "/OS-TRUST/trusts/{trust_id}",
    operation: deleteTrust,
    handler: (ctx, req) => deleteTrust(ctx, idOf(req)),
  }),
  listRoute("/OS-TRUST/trusts/{trust_id}/roles", listTrustRoles, idOf, ["roles", viewRole]),
  thingRoute(
    "/OS-TRUST/trusts/{trust_id}/roles/{role_id}",
    getTrustRole,
    (req) => ({ ...idOf(req), roleId: req.params.role_id ?? "" }),
    ["role", viewRole],
  ),
]
