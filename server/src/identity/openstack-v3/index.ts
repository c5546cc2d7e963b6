import type { Api, Route } from "../../platform/http/wire.ts"
import { accessRuleRoutes, applicationCredentialRoutes } from "./application-credentials.ts"
import { authRoutes } from "./auth.ts"
import { credentialRoutes, ec2CredentialRoutes } from "./credentials.ts"
import { versionRoute, versionsRoute } from "./discovery.ts"
import { domainConfigRoutes } from "./domain-configs.ts"
import { domainRoutes } from "./domains.ts"
import { ec2TokenRoutes } from "./ec2-tokens.ts"
import { endpointGroupRoutes, projectEndpointRoutes } from "./endpoint-filter.ts"
import { endpointRoutes } from "./endpoints.ts"
import { extensionRoutes } from "./extensions.ts"
import { renderIdentityFault } from "./fault-table.ts"
import { grantRoutes } from "./grants.ts"
import { groupRoutes } from "./groups.ts"
import { limitRoutes, registeredLimitRoutes } from "./limits.ts"
import { oauth1Routes } from "./oauth1.ts"
import { oauth2Routes } from "./oauth2.ts"
import { policyRoutes } from "./policies.ts"
import { projectRoutes, projectTagRoutes } from "./projects.ts"
import { regionRoutes } from "./regions.ts"
import { roleAssignmentRoutes } from "./role-assignments.ts"
import { impliedRoleRoutes, roleRoutes } from "./roles.ts"
import { serviceRoutes } from "./services.ts"
import { trustRoutes } from "./trusts.ts"
import { userRoutes } from "./users.ts"

const routes: readonly Route[] = [
  versionRoute,
  ...authRoutes,
  ...domainRoutes,
  ...endpointRoutes,
  ...grantRoutes,
  ...groupRoutes,
  ...projectRoutes,
  ...projectTagRoutes,
  ...regionRoutes,
  ...roleAssignmentRoutes,
  ...roleRoutes,
  ...impliedRoleRoutes,
  ...serviceRoutes,
  ...userRoutes,
  ...credentialRoutes,
  ...ec2CredentialRoutes,
  ...ec2TokenRoutes,
  ...applicationCredentialRoutes,
  ...accessRuleRoutes,
  ...trustRoutes,
  ...registeredLimitRoutes,
  ...limitRoutes,
  ...policyRoutes,
  ...endpointGroupRoutes,
  ...projectEndpointRoutes,
  ...domainConfigRoutes,
  ...extensionRoutes,
  ...oauth1Routes,
  ...oauth2Routes,
]

export const identityV3Api: Api = {
  service: "identity",
  mounts: ["/identity", ""],
  version: "/v3",
  rootRoutes: [versionsRoute],
  routes: withHead(routes),
  renderFault: renderIdentityFault,
  tellsStrangers: true,
  checksBodyLast: true,
}

/** Keystone answers HEAD wherever it answers GET, with the same status and headers. */
function withHead(declared: readonly Route[]): Route[] {
  const heads = new Set(declared.filter((r) => r.method === "HEAD").map((r) => r.path))
  return declared.flatMap((r): Route[] =>
    r.method === "GET" && !heads.has(r.path) ? [r, { ...r, method: "HEAD" }] : [r],
  )
}
