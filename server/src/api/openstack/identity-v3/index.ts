import type { Api, Route } from "../../../platform/http/wire.ts"
import { authRoutes } from "./auth.ts"
import { versionRoute, versionsRoute } from "./discovery.ts"
import { domainRoutes } from "./domains.ts"
import { endpointRoutes } from "./endpoints.ts"
import { renderIdentityFault } from "./fault-table.ts"
import { grantRoutes } from "./grants.ts"
import { groupRoutes } from "./groups.ts"
import { projectRoutes, projectTagRoutes } from "./projects.ts"
import { regionRoutes } from "./regions.ts"
import { roleAssignmentRoutes } from "./role-assignments.ts"
import { impliedRoleRoutes, roleRoutes } from "./roles.ts"
import { serviceRoutes } from "./services.ts"
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
]

export function createIdentityV3Api(): Api {
  return {
    service: "identity",
    mounts: ["/identity", ""],
    version: "/v3",
    rootRoutes: [versionsRoute],
    routes: withHead(routes),
    renderFault: renderIdentityFault,
  }
}

/** Keystone answers HEAD wherever it answers GET, with the same status and headers. */
function withHead(declared: readonly Route[]): Route[] {
  const heads = new Set(declared.filter((r) => r.method === "HEAD").map((r) => r.path))
  return declared.flatMap((r): Route[] =>
    r.method === "GET" && !heads.has(r.path) ? [r, { ...r, method: "HEAD" }] : [r],
  )
}
