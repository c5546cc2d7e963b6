import type { Api } from "../../platform/http/wire.ts"
import { addressGroupRoutes } from "./address-groups.ts"
import { addressScopeRoutes } from "./address-scopes.ts"
import { agentRoutes } from "./agents.ts"
import { autoTopologyRoutes } from "./auto-topologies.ts"
import { extensionRoutes } from "./extensions.ts"
import { renderFault } from "./fault-table.ts"
import { floatingIpRoutes } from "./floatingips.ts"
import { ipAvailabilityRoutes } from "./ip-availabilities.ts"
import { networkRoutes } from "./networks.ts"
import { portForwardingRoutes } from "./port-forwardings.ts"
import { portRoutes } from "./ports.ts"
import { qosRoutes } from "./qos.ts"
import { quotaRoutes } from "./quotas.ts"
import { rbacPolicyRoutes } from "./rbac-policies.ts"
import { routerRoutes } from "./routers.ts"
import { securityGroupRoutes } from "./security-groups.ts"
import { subnetPoolRoutes } from "./subnetpools.ts"
import { subnetRoutes } from "./subnets.ts"
import { tagRoutes } from "./tags.ts"
import { versionRootRoutes, versionRoutes } from "./versions.ts"

/** The network API, version 2.0. */
export const networkApi: Api = {
  service: "network",
  mounts: ["/network"],
  version: "/v2.0",
  rootRoutes: versionRootRoutes,
  routes: [
    ...versionRoutes,
    ...networkRoutes,
    ...subnetRoutes,
    ...portRoutes,
    ...routerRoutes,
    ...floatingIpRoutes,
    ...portForwardingRoutes,
    ...securityGroupRoutes,
    ...subnetPoolRoutes,
    ...addressScopeRoutes,
    ...addressGroupRoutes,
    ...qosRoutes,
    ...rbacPolicyRoutes,
    ...ipAvailabilityRoutes,
    ...autoTopologyRoutes,
    ...tagRoutes,
    ...quotaRoutes,
    ...agentRoutes,
    ...extensionRoutes,
  ],
  renderFault,
  // Old clients name the format that they want; there is one.
  oldPaths: { plain: (path) => path.replace(/\.json$/, "") },
}
