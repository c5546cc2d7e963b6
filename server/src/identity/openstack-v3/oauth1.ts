// OS-OAUTH1: request tokens, access tokens. Who asks signs the request (RFC 5849) and is answered in form encoding.

import { Type } from "typebox"
import { one } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Route, route, type WireReply, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { closed, object } from "../../platform/schema/make.ts"
import {
  type AccessToken,
  accessTokenNoun,
  authorizeRequestToken,
  createAccessToken,
  createRequestToken,
  deleteAccessToken,
  getAccessToken,
  getAccessTokenRole,
  listAccessTokenRoles,
  listAccessTokens,
  type Role,
  type SignedRequest,
  timeText,
} from "../index.ts"
import { given } from "./read.ts"
import { showsLike, viewOf } from "./resource.ts"
import { idString, name, text, textOrNull } from "./schema.ts"
import { listOf, selfLink } from "./told.ts"
import { linkTo, listReply } from "./view.ts"

/**
 * The request as the client may have signed it: under the name that it asked for or that we give ourselves. What stands
 * before us may have taken off the TLS.
 */
export function signedRequest(ctx: Ctx, req: WireRequest): SignedRequest {
  const { authorization, host } = req.headers
  const hosts = [
    new URL(ctx.baseUrl).host,
    new URL(ctx.config.publicUrl).host,
    ...(host ? [String(host)] : []),
  ]
  return {
    method: req.method,
    origins: [...new Set(hosts)].flatMap((name) => [`http://${name}`, `https://${name}`]),
    url: req.url,
    authorization: typeof authorization === "string" ? authorization : null,
  }
}

function viewTime(at: Date | null): string | null {
  return at === null ? null : timeText(at.getTime())
}

function secretReply(row: { id: string; secret: string; expiresAt: Date | null }): WireReply {
  const end = viewTime(row.expiresAt)
  const pairs = {
    oauth_token: row.id,
    oauth_token_secret: row.secret,
    ...(end ? { oauth_expires_at: end } : {}),
  }
  // As Keystone writes it: nothing here has to be encoded, and its clients take the time as it stands.
  const body = Object.entries(pairs).map((pair) => pair.join("="))
  return withHeaders(body.join("&"), { "content-type": "application/x-www-form-urlencoded" })
}

const pathOf = ({ id, authorizingUserId }: AccessToken) =>
  `users/${authorizingUserId}/OS-OAUTH1/access_tokens/${id}`

const viewPlain = viewOf(accessTokenNoun, pathOf, ({ expiresAt }) => ({ expires_at: viewTime(expiresAt) }), {
  expires_at: textOrNull,
})

function viewAccessToken(ctx: Ctx, req: WireRequest, token: AccessToken): Record<string, unknown> {
  const roles = linkTo(ctx, req, `${pathOf(token)}/roles`).self
  return { ...viewPlain(ctx, req, token), links: { ...linkTo(ctx, req, pathOf(token)), roles } }
}

function viewRole(ctx: Ctx, req: WireRequest, row: Role): Record<string, unknown> {
  return { id: row.id, name: row.name, domain_id: row.domainId, links: linkTo(ctx, req, `roles/${row.id}`) }
}

const rolesLink = Type.Object({ self: text, roles: text })
const shownToken = showsLike(viewPlain, "AccessToken", { links: rolesLink })
const shownRole = Type.Object({ id: text, name: text, domain_id: textOrNull, links: selfLink })
const verifier = Type.Object({ oauth_verifier: text })

const rolesToGive = Type.Array(closed({ id: idString, name }, [], { minProperties: 1, maxProperties: 1 }))

function ofUser(req: WireRequest) {
  return { userId: req.params.user_id ?? "", id: req.params.access_token_id ?? "" }
}

export const oauth1Routes: readonly Route[] = [
  route({
    method: "POST",
    path: "/OS-OAUTH1/request_token",
    operation: createRequestToken,
    handler: async (ctx, req) => {
      const projectId = req.headers["requested-project-id"]
      const row = await createRequestToken(ctx, {
        signed: signedRequest(ctx, req),
        remoteAddress: req.remoteAddress,
        ...given({ projectId: typeof projectId === "string" ? projectId : undefined }),
      })
      return secretReply(row)
    },
  }),
  route({
    method: "PUT",
    path: "/OS-OAUTH1/authorize/{request_token_id}",
    operation: authorizeRequestToken,
    told: one("token", verifier),
    body: object({ roles: rolesToGive }),
    handler: async (ctx, req) => {
      const id = req.params.request_token_id ?? ""
      const { verifier } = await authorizeRequestToken(ctx, { id, roles: req.body?.roles ?? [] })
      return { token: { oauth_verifier: verifier } }
    },
  }),
  route({
    method: "POST",
    path: "/OS-OAUTH1/access_token",
    operation: createAccessToken,
    handler: async (ctx, req) =>
      secretReply(
        await createAccessToken(ctx, { signed: signedRequest(ctx, req), remoteAddress: req.remoteAddress }),
      ),
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/OS-OAUTH1/access_tokens",
    operation: listAccessTokens,
    told: listOf("access_tokens", shownToken),
    handler: async (ctx, req) => {
      const rows = await listAccessTokens(ctx, { userId: req.params.user_id ?? "" })
      return listReply(ctx, req, "access_tokens", rows, viewAccessToken)
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}",
    operation: getAccessToken,
    told: one("access_token", shownToken),
    handler: async (ctx, req) => ({
      access_token: viewAccessToken(ctx, req, await getAccessToken(ctx, ofUser(req))),
    }),
  }),
  route({
    method: "DELETE",
    path: "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}",
    operation: deleteAccessToken,
    handler: (ctx, req) => deleteAccessToken(ctx, ofUser(req)),
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles",
    operation: listAccessTokenRoles,
    told: listOf("roles", shownRole),
    handler: async (ctx, req) => {
      const rows = await listAccessTokenRoles(ctx, ofUser(req))
      return listReply(ctx, req, "roles", rows, viewRole)
    },
  }),
  route({
    method: "GET",
    path: "/users/{user_id}/OS-OAUTH1/access_tokens/{access_token_id}/roles/{role_id}",
    operation: getAccessTokenRole,
    told: one("role", shownRole),
    handler: async (ctx, req) => {
      const row = await getAccessTokenRole(ctx, { ...ofUser(req), roleId: req.params.role_id ?? "" })
      return { role: viewRole(ctx, req, row) }
    },
  }),
]
