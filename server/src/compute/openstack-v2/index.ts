import { projectPaths } from "../../api/openstack/project-path.ts"
import type { Api, Route } from "../../platform/http/wire.ts"
import { badRequest } from "../index.ts"
import { aggregateRoutes } from "./aggregates.ts"
import { assistedSnapshotRoutes } from "./assisted-volume-snapshots.ts"
import { zoneRoutes } from "./availability-zones.ts"
import { baremetalNodeRoutes } from "./baremetal-nodes.ts"
import { extensionRoutes } from "./extensions.ts"
import { renderFault } from "./fault-table.ts"
import { flavorRoutes } from "./flavors.ts"
import { floatingIpRoutes } from "./floating-ips.ts"
import { hostRoutes } from "./hosts.ts"
import { hypervisorRoutes } from "./hypervisors.ts"
import { imageRoutes } from "./images.ts"
import { keypairRoutes } from "./keypairs.ts"
import { limitRoutes } from "./limits.ts"
import { migrationRoutes } from "./migrations.ts"
import { oldNetworkRoutes } from "./networks.ts"
import { quotaClassSetRoutes } from "./quota-class-sets.ts"
import { quotaSetRoutes } from "./quota-sets.ts"
import { remoteConsoleRoutes } from "./remote-consoles.ts"
import { removedRoutes } from "./removed.ts"
import { securityGroupRoutes } from "./security-groups.ts"
import { serverActionRoutes } from "./server-actions.ts"
import { serverDetailRoutes } from "./server-details.ts"
import { serverExternalEventRoutes } from "./server-external-events.ts"
import { serverGroupRoutes } from "./server-groups.ts"
import { serverMigrationRoutes } from "./server-moves.ts"
import { serverTagRoutes } from "./server-tags.ts"
import { serverRoutes } from "./servers.ts"
import { serviceRoutes } from "./services.ts"
import { usageRoutes } from "./simple-tenant-usage.ts"
import { usageAuditRoutes } from "./usage-audit-log.ts"
import { microversions, rootRoutes, versionRoutes } from "./versions.ts"
import { volumeAttachmentRoutes } from "./volume-attachments.ts"
import { oldVolumeRoutes } from "./volumes.ts"
import { volumesBootRoutes } from "./volumes-boot.ts"

const routes: readonly Route[] = [
  ...serverRoutes,
  ...serverActionRoutes,
  ...serverDetailRoutes,
  ...serverTagRoutes,
  ...serverMigrationRoutes,
  ...volumeAttachmentRoutes,
  ...remoteConsoleRoutes,
  ...serviceRoutes,
  ...hypervisorRoutes,
  ...zoneRoutes,
  ...flavorRoutes,
  ...keypairRoutes,
  ...quotaSetRoutes,
  ...quotaClassSetRoutes,
  ...limitRoutes,
  ...aggregateRoutes,
  ...serverGroupRoutes,
  ...usageRoutes,
  ...usageAuditRoutes,
  ...extensionRoutes,
  ...imageRoutes,
  ...securityGroupRoutes,
  ...floatingIpRoutes,
  ...oldNetworkRoutes,
  ...oldVolumeRoutes,
  ...migrationRoutes,
  ...hostRoutes,
  ...serverExternalEventRoutes,
  ...volumesBootRoutes,
  ...assistedSnapshotRoutes,
  ...baremetalNodeRoutes,
  ...removedRoutes,
]

/** Nova answers so for most of what it makes. */
const statuses = { POST: 200 }

/** A project's id is what Nova's project_id_regex takes for one. */
const oldPaths = projectPaths(/^\/([0-9a-f-]+)(?=\/|$)/, (named, own) =>
  badRequest(
    `Malformed request URL: URL's project_id '${named}' doesn't match Context's project_id '${own}'`,
  ),
)

/** Nova's API, v2.1 with microversions. */
export const computeApi: Api = {
  service: "compute",
  mounts: ["/compute"],
  version: "/v2.1",
  rootRoutes,
  routes: [...versionRoutes("v2.1"), ...routes],
  microversions,
  statuses,
  renderFault,
  oldPaths,
  extraRequestIdHeader: "x-compute-request-id",
}

/** The same at /v2, for clients of the time before microversions: always as 2.1. */
export const computeV20Api: Api = {
  service: "compute",
  mounts: ["/compute"],
  version: "/v2",
  routes: [...versionRoutes("v2.0"), ...routes],
  microversions: { serviceType: "compute", min: "2.1", max: "2.1" },
  statuses,
  renderFault,
  oldPaths,
  extraRequestIdHeader: "x-compute-request-id",
}
