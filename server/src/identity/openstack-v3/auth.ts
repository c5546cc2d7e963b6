import { Type } from "typebox"
import { flag } from "../../api/openstack/shape.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { queryBoolean } from "../../platform/http/query.ts"
import { route, type WireRequest, withHeaders } from "../../platform/http/wire.ts"
import { querySchema } from "../../platform/noun/query-schema.ts"
import {
  checkToken,
  getOwnCatalog,
  hasOwnSystemScope,
  issueTokenByLogin,
  type KnownToken,
  type LoginRequest,
  listOwnDomains,
  listOwnProjects,
  type RequestedScope,
  revokeToken,
  tokenJson,
  validateToken,
} from "../index.ts"
import { type AuthRequest, authRequest, catalog, toldAuthRequest, toldToken } from "./auth-schema.ts"
import { signedRequest } from "./oauth1.ts"
import { viewDomain, viewProject } from "./projects-view.ts"
import { listRoute } from "./shown-routes.ts"
import { flags, selfLink } from "./told.ts"
import { linkTo } from "./view.ts"

const tokenQuery = querySchema(flags("allow_expired", "nocatalog"))

export const authRoutes = [
  route({
    method: "POST",
    path: "/auth/tokens",
    operation: issueTokenByLogin,
    told: { body: toldAuthRequest, query: querySchema(flags("nocatalog")), ...toldToken },
    body: authRequest,
    handler: async (ctx, req) => {
      const known = await issueTokenByLogin(ctx, { request: readLogin(ctx, req) })
      return await tokenReply(ctx, req, known)
    },
  }),
  route({
    method: "GET",
    path: "/auth/tokens",
    operation: validateToken,
    told: { query: tokenQuery, ...toldToken },
    handler: async (ctx, req) => {
      const known = await validateToken(ctx, {
        tokenId: subjectOf(req),
        isExpiredAllowed: queryBoolean(req.query, "allow_expired") ?? false,
        knowsAccessRules: knowsAccessRules(req),
      })
      return await tokenReply(ctx, req, known)
    },
  }),
  route({
    method: "HEAD",
    path: "/auth/tokens",
    operation: checkToken,
    told: { query: tokenQuery },
    handler: async (ctx, req) => {
      const known = await checkToken(ctx, {
        tokenId: subjectOf(req),
        isExpiredAllowed: queryBoolean(req.query, "allow_expired") ?? false,
        knowsAccessRules: knowsAccessRules(req),
      })
      return await tokenReply(ctx, req, known)
    },
  }),
  route({
    method: "DELETE",
    path: "/auth/tokens",
    operation: revokeToken,
    handler: (ctx, req) => revokeToken(ctx, { tokenId: subjectOf(req) }),
  }),
  listRoute("/auth/projects", listOwnProjects, () => ({}), ["projects", viewProject]),
  listRoute("/auth/domains", listOwnDomains, () => ({}), ["domains", viewDomain]),
  route({
    method: "GET",
    path: "/auth/system",
    operation: hasOwnSystemScope,
    told: { answer: Type.Object({ system: Type.Array(Type.Object({ all: flag })), links: selfLink }) },
    handler: async (ctx, req) => ({
      system: (await hasOwnSystemScope(ctx, {})) ? [{ all: true }] : [],
      links: linkTo(ctx, req, "auth/system"),
    }),
  }),
  route({
    method: "GET",
    path: "/auth/catalog",
    operation: getOwnCatalog,
    told: { answer: Type.Object({ catalog, links: selfLink }) },
    handler: async (ctx, req) => ({
      catalog: await getOwnCatalog(ctx, {}),
      links: linkTo(ctx, req, "auth/catalog"),
    }),
  }),
]

function subjectOf(req: WireRequest): string {
  const id = req.headers["x-subject-token"]
  if (typeof id !== "string" || id === "") {
    throw invalid("X-Subject-Token", "The header X-Subject-Token must name the token in question.")
  }
  return id
}

/** As keystonemiddleware says it: the version of access rules that it enforces. */
function knowsAccessRules({ headers }: WireRequest): boolean {
  return Number(headers["openstack-identity-access-rules"] ?? 0) >= 1
}

async function tokenReply(ctx: Ctx, req: WireRequest, known: KnownToken) {
  const json = await tokenJson(ctx, known, { isCatalogWanted: !("nocatalog" in req.query) })
  return withHeaders(json, {
    "content-type": "application/json",
    "X-Subject-Token": known.token.id,
    Vary: "X-Auth-Token",
  })
}

function readLogin(ctx: Ctx, req: WireRequest<AuthRequest>): LoginRequest {
  const { identity, scope } = req.body.auth
  const receipt = req.headers["openstack-auth-receipt"]
  return {
    methods: identity.methods,
    identity,
    scope: readScope(scope),
    receipt: typeof receipt === "string" ? receipt : null,
    remoteAddress: req.remoteAddress,
    signed: signedRequest(ctx, req),
  }
}

const scopeKinds = ["system", "unscoped", "project", "domain", "OS-TRUST:trust"] as const

function readScope(scope: AuthRequest["auth"]["scope"]): RequestedScope {
  if (scope === undefined) return { kind: "default" }
  if (typeof scope === "string") {
    if (scope === "unscoped") return { kind: "unscoped" }
    throw invalid(
      "auth.scope",
      'Expecting to find system, project, domain, OS-TRUST:trust or "unscoped" in scope.',
    )
  }
  const named = scopeKinds.filter((kind) => kind in scope)
  const [kind, second] = named
  if (kind === undefined || second !== undefined) {
    throw invalid(
      "auth.scope",
      "Expecting to find one of system, project, domain, OS-TRUST:trust or unscoped in scope.",
    )
  }
  switch (kind) {
    case "system":
      return { kind: "system" }
    case "unscoped":
      return { kind: "unscoped" }
    case "project":
      return { kind: "project", project: scope.project ?? {} }
    case "domain":
      return { kind: "domain", domain: scope.domain ?? {} }
    case "OS-TRUST:trust":
      return { kind: "trust", trustId: scope["OS-TRUST:trust"]?.id ?? "" }
  }
}
