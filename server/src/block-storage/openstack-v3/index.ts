import { projectPaths } from "../../api/openstack/project-path.ts"
import type { Api } from "../../platform/http/wire.ts"
import { inputInvalid } from "../faults.ts"
import { attachmentRoutes } from "./attachments.ts"
import { backupRoutes } from "./backups.ts"
import { clusterRoutes } from "./clusters.ts"
import { consistencyGroupRoutes } from "./consistency-groups.ts"
import { encryptionRoutes } from "./encryption.ts"
import { extensionRoutes } from "./extensions.ts"
import { renderFault } from "./fault-table.ts"
import { groupSnapshotRoutes } from "./group-snapshots.ts"
import { groupTypeRoutes } from "./group-types.ts"
import { groupRoutes } from "./groups.ts"
import { manageableRoutes } from "./manageable.ts"
import { messageRoutes } from "./messages.ts"
import { metadataOfAll } from "./metadata.ts"
import { qosRoutes } from "./qos-specs.ts"
import { quotaRoutes } from "./quota-sets.ts"
import { serviceRoutes } from "./services.ts"
import { snapshotRoutes } from "./snapshots.ts"
import { allTransferRoutes } from "./transfers.ts"
import { typeRoutes } from "./types.ts"
import { microversions, rootRoutes, versionRoutes } from "./versions.ts"
import { volumeActionRoutes } from "./volume-actions.ts"
import { volumeRoutes } from "./volumes.ts"

const oldPaths = projectPaths(/^\/([0-9a-f]{32}|[0-9a-f-]{36})(?=\/|$)/, (named, own) =>
  inputInvalid(
    `Malformed request url: URL's project_id '${named}' doesn't match Context's project_id '${own}'`,
  ),
)

/** Cinder's API, v3 with microversions. */
export const blockStorageApi: Api = {
  service: "block-storage",
  mounts: ["/volume"],
  version: "/v3",
  rootRoutes,
  routes: [
    ...versionRoutes,
    ...volumeRoutes,
    ...volumeActionRoutes,
    ...metadataOfAll,
    ...messageRoutes,
    ...snapshotRoutes,
    ...backupRoutes,
    ...attachmentRoutes,
    ...allTransferRoutes,
    ...typeRoutes,
    ...encryptionRoutes,
    ...groupTypeRoutes,
    ...groupRoutes,
    ...groupSnapshotRoutes,
    ...consistencyGroupRoutes,
    ...qosRoutes,
    ...quotaRoutes,
    ...serviceRoutes,
    ...manageableRoutes,
    ...clusterRoutes,
    ...extensionRoutes,
  ],
  microversions,
  renderFault,
  oldPaths,
}
