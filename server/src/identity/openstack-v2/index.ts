// Keystone's v2.0 as programs of its years still send it: tokens and the list of tenants, over the v3 operations.
// Users and tenants are those of the default domain; there is no scope but a tenant.

import { type Static, Type } from "typebox"
import * as is from "../../api/openstack/shape.ts"
import { secondsText } from "../../platform/clock/iso-time.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { type Api, route, type WireRequest } from "../../platform/http/wire.ts"
import { keyed, object } from "../../platform/schema/make.ts"
import {
  issueTokenByLogin,
  type KnownToken,
  type LoginRequest,
  listOwnProjects,
  type Project,
  readTokenCatalog,
  validateToken,
} from "../index.ts"
import { version } from "../openstack-v3/discovery.ts"
import { renderIdentityFault } from "../openstack-v3/fault-table.ts"

const { count, each, flag, links, one, rare, shape, text, textMap, textOrNull, texts } = is
const authRequest = keyed(
  "auth",
  object({
    passwordCredentials: object({ username: text, userId: text, password: text }, ["password"]),
    token: keyed("id", text),
    tenantName: textOrNull,
    tenantId: textOrNull,
  }),
)

const domain = { id: "default" }

function readLogin(req: WireRequest<Static<typeof authRequest>>): LoginRequest {
  const { passwordCredentials, token, tenantId, tenantName } = req.body.auth
  const common = {
    scope: tenantId
      ? ({ kind: "project", project: { id: tenantId } } as const)
      : tenantName
        ? ({ kind: "project", project: { name: tenantName, domain } } as const)
        : ({ kind: "default" } as const),
    receipt: null,
    signed: null,
    remoteAddress: req.remoteAddress,
  }
  if (token) return { ...common, methods: ["token"], identity: { token } }
  if (!passwordCredentials) throw invalid("auth", "Expecting to find passwordCredentials or token in auth.")
  const { userId, username, password } = passwordCredentials
  const user = userId ? { id: userId, password } : { name: username, domain, password }
  return { ...common, methods: ["password"], identity: { password: { user } } }
}

async function viewAccess(ctx: Ctx, known: KnownToken): Promise<Record<string, unknown>> {
  const { token } = known
  const { project, user, roles, payload } = token
  const services = project ? await readTokenCatalog(ctx, known) : []
  return {
    token: {
      id: token.id,
      issued_at: secondsText(new Date(payload.issuedAtMs)),
      expires: secondsText(new Date(payload.expiresAtMs)),
      audit_ids: payload.auditIds,
      ...(project
        ? { tenant: { id: project.id, name: project.name, enabled: true, description: null } }
        : {}),
    },
    user: {
      id: user.id,
      name: user.name,
      username: user.name,
      roles: roles.map((role) => ({ name: role.name })),
      roles_links: [],
    },
    serviceCatalog: services.map((service) => ({
      type: service.type,
      name: service.name,
      endpoints_links: [],
      endpoints: byRegion(service.endpoints),
    })),
    metadata: { is_admin: 0, roles: roles.map((role) => role.id) },
  }
}

/** One row a region with the three addresses side by side. */
function byRegion(
  endpoints: readonly { id: string; region: string | null; interface: string; url: string }[],
) {
  const rows = new Map<string, Record<string, string>>()
  for (const endpoint of endpoints) {
    const region = endpoint.region ?? ""
    const row = rows.get(region) ?? { id: endpoint.id, region }
    row[`${endpoint.interface}URL`] = endpoint.url
    rows.set(region, row)
  }
  return [...rows.values()]
}

function viewTenant(row: Project) {
  return { id: row.id, name: row.name, description: row.description, enabled: row.isEnabled }
}

const tenant = { id: text, name: text, description: textOrNull, enabled: flag }
const token = { ...each("id issued_at expires", text), audit_ids: texts, tenant: rare(Type.Object(tenant)) }
const roles = Type.Array(Type.Object({ name: text }))
const user = { ...each("id name username", text), roles, roles_links: links }
const service = { type: text, name: text, endpoints: Type.Array(textMap), endpoints_links: links }
const access = shape("Access", {
  token: Type.Object(token),
  user: Type.Object(user),
  serviceCatalog: Type.Array(Type.Object(service)),
  metadata: Type.Object({ is_admin: count, roles: texts }),
})
const tenants = Type.Object({ tenants: Type.Array(Type.Object(tenant)), tenants_links: links })

const versionRoute = route({
  method: "GET",
  path: "",
  policy: "public",
  told: one("version", version),
  handler: async (ctx) => ({
    version: {
      id: "v2.0",
      status: "deprecated",
      updated: "2016-08-04T00:00:00Z",
      links: [{ rel: "self", href: `${ctx.baseUrl}/identity/v2.0/` }],
      "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v2.0+json" }],
    },
  }),
})

/** This API is older than access rules: nobody who speaks it can enforce them. */
function subjectOf(req: WireRequest) {
  return { tokenId: req.params.token_id ?? "", knowsAccessRules: false }
}

export const identityV2Api: Api = {
  service: "identity-v2",
  mounts: ["/identity", ""],
  version: "/v2.0",
  isServed: (config) => config.identity.isV2ApiEnabled,
  renderFault: renderIdentityFault,
  tellsStrangers: true,
  routes: [
    versionRoute,
    route({
      method: "POST",
      path: "/tokens",
      operation: issueTokenByLogin,
      status: 200,
      body: authRequest,
      told: one("access", access),
      handler: async (ctx, req) => {
        const known = await issueTokenByLogin(ctx, { request: readLogin(req) })
        return { access: await viewAccess(ctx, known) }
      },
    }),
    route({
      method: "GET",
      path: "/tokens/{token_id}",
      operation: validateToken,
      told: one("access", access),
      handler: async (ctx, req) => ({
        access: await viewAccess(ctx, await validateToken(ctx, subjectOf(req))),
      }),
    }),
    route({
      method: "HEAD",
      path: "/tokens/{token_id}",
      operation: validateToken,
      handler: (ctx, req) => validateToken(ctx, subjectOf(req)),
    }),
    route({
      method: "GET",
      path: "/tenants",
      operation: listOwnProjects,
      told: { answer: tenants },
      handler: async (ctx) => ({
        tenants: (await listOwnProjects(ctx, {})).filter((row) => row.domainId === domain.id).map(viewTenant),
        tenants_links: [],
      }),
    }),
  ],
}
