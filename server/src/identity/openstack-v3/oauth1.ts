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
import { showsLike, type View, viewOf } from "./resource.ts"
import { idString, name, text, textOrNull } from "./schema.ts"
import { listRoute, thingRoute } from "./shown-routes.ts"
import { selfLink } from "./told.ts"
import { linkTo } from "./view.ts"

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

const rolesLink = Type.Object({ self: text, roles: text })
const viewAccessToken: View<AccessToken> = Object.assign(
  (ctx: Ctx, req: WireRequest, token: AccessToken) => {
    const { self } = linkTo(ctx, req, pathOf(token))
    return { ...viewPlain(ctx, req, token), links: { self, roles: `${self}/roles` } }
  },
  { shows: showsLike(viewPlain, "AccessToken", { links: rolesLink }) },
)

const roleShown = Type.Object({ id: text, name: text, domain_id: textOrNull, links: selfLink })
const viewRole: View<Role> = Object.assign(
  (ctx: Ctx, req: WireRequest, { id, name, domainId }: Role) => ({
    ...{ id, name, domain_id: domainId, links: linkTo(ctx, req, `roles/${id}`) },
  }),
  { shows: roleShown },
)

const verifier = Type.Object({ oauth_verifier: text })

const rolesToGive = Type.Array(closed({ id: idString, name }, [], { minProperties: 1, maxProperties: 1 }))

const tokens = "/users/{user_id}/OS-OAUTH1/access_tokens"
const token = `${tokens}/{access_token_id}`
const user = (req: WireRequest) => ({ userId: req.params.user_id ?? "" })
const role = (req: WireRequest) => ({ ...ofUser(req), roleId: req.params.role_id ?? "" })

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
  listRoute(tokens, listAccessTokens, user, ["access_tokens", viewAccessToken]),
  thingRoute(token, getAccessToken, ofUser, ["access_token", viewAccessToken]),
  route({
    method: "DELETE",
    path: token,
    operation: deleteAccessToken,
    handler: (ctx, req) => deleteAccessToken(ctx, ofUser(req)),
  }),
  listRoute(`${token}/roles`, listAccessTokenRoles, ofUser, ["roles", viewRole]),
  thingRoute(`${token}/roles/{role_id}`, getAccessTokenRole, role, ["role", viewRole]),
]
