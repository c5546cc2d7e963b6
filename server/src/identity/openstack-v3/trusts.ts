import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { queryText } from "../../platform/http/query.ts"
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
} from "../index.ts"
import { extraOf, given } from "./read.ts"
import { viewRole } from "./roles.ts"
import { idOrName, looseId, member, strictBoolean, text, textOrNull } from "./schema.ts"
import { linkTo, listReply } from "./view.ts"

const properties = {
  trustor_user_id: looseId,
  trustee_user_id: looseId,
  impersonation: strictBoolean,
  project_id: textOrNull,
  expires_at: textOrNull,
  remaining_uses: typed(["integer", "null"], { minimum: 1 }),
  allow_redelegation: typed(["boolean", "null"]),
  redelegation_count: typed(["integer", "null"], { minimum: 0 }),
  roles: Type.Array(object({ id: text, name: text }, [], idOrName)),
}
const known = [...Object.keys(properties), "id", "links"]

function viewTrust(ctx: Ctx, req: WireRequest, trust: Trust, isListed = false): Record<string, unknown> {
  const rolesUrl = linkTo(ctx, req, `OS-TRUST/trusts/${trust.id}/roles`).self
  return {
    ...trust.extra,
    id: trust.id,
    trustor_user_id: trust.trustor_user_id,
    trustee_user_id: trust.trustee_user_id,
    project_id: trust.project_id,
    impersonation: trust.is_impersonation,
    expires_at: trust.expires_at_text,
    remaining_uses: trust.remaining_uses,
    redelegation_count: trust.redelegation_count,
    redelegated_trust_id: trust.redelegated_trust_id,
    deleted_at: null,
    ...(isListed
      ? {}
      : {
          roles: trust.roles.map((role) => viewRole(ctx, req, role)),
          roles_links: { self: rolesUrl, next: null, previous: null },
        }),
    links: linkTo(ctx, req, `OS-TRUST/trusts/${trust.id}`),
  }
}

export const trustRoutes = [
  route({
    method: "GET",
    path: "/OS-TRUST/trusts",
    operation: listTrusts,
    handler: async (ctx, req) => {
      const trusts = await listTrusts(
        ctx,
        given({
          trustorUserId: queryText(req.query, "trustor_user_id"),
          trusteeUserId: queryText(req.query, "trustee_user_id"),
        }),
      )
      return listReply(
        ctx,
        req,
        "trusts",
        trusts.map((trust) => viewTrust(ctx, req, trust, true)),
      )
    },
  }),
  route({
    method: "POST",
    path: "/OS-TRUST/trusts",
    operation: createTrust,
    body: member("trust", properties, { required: ["trustee_user_id", "trustor_user_id", "impersonation"] }),
    handler: async (ctx, req) => {
      const { trust } = req.body
      const row = await createTrust(
        ctx,
        given({
          trustorUserId: trust.trustor_user_id,
          trusteeUserId: trust.trustee_user_id,
          isImpersonation: trust.impersonation,
          projectId: trust.project_id,
          expiresAt: trust.expires_at,
          remainingUses: trust.remaining_uses,
          roles: trust.roles,
          isRedelegationAllowed: trust.allow_redelegation ?? undefined,
          redelegationCount: trust.redelegation_count,
          extra: extraOf(trust, known),
        }),
      )
      return { trust: viewTrust(ctx, req, row) }
    },
  }),
  route({
    method: "GET",
    path: "/OS-TRUST/trusts/{trust_id}",
    operation: getTrust,
    handler: async (ctx, req) => ({
      trust: viewTrust(ctx, req, await getTrust(ctx, { id: req.params.trust_id ?? "" })),
    }),
  }),
  route({
    method: "DELETE",
    path: "/OS-TRUST/trusts/{trust_id}",
    operation: deleteTrust,
    handler: async (ctx, req) => {
      await deleteTrust(ctx, { id: req.params.trust_id ?? "" })
    },
  }),
  route({
    method: "GET",
    path: "/OS-TRUST/trusts/{trust_id}/roles",
    operation: listTrustRoles,
    handler: async (ctx, req) => {
      const roles = await listTrustRoles(ctx, { id: req.params.trust_id ?? "" })
      return listReply(
        ctx,
        req,
        "roles",
        roles.map((role) => viewRole(ctx, req, role)),
      )
    },
  }),
  route({
    method: "GET",
    path: "/OS-TRUST/trusts/{trust_id}/roles/{role_id}",
    operation: getTrustRole,
    handler: async (ctx, req) => {
      const wanted = { id: req.params.trust_id ?? "", roleId: req.params.role_id ?? "" }
      return { role: viewRole(ctx, req, await getTrustRole(ctx, wanted)) }
    },
  }),
]
