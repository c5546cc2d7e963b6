// What other parts of the program may use of the compute service: servers, flavors, key pairs, hosts.
import "./config.ts"
import type {} from "./tables.ts"

export type { VmDiagnostics } from "../agent/protocol.ts"
export { isAdmin } from "./admin.ts"
export {
  type Aggregate,
  aggregateNoun,
  createAggregate,
  deleteAggregate,
  listAggregates,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
} from "./aggregate/aggregate.ts"
export { cacheAggregateImages } from "./aggregate/cache-images.ts"
export { addAggregateHost, removeAggregateHost } from "./aggregate/host.ts"
export { createRemoteConsole, showConsoleToken } from "./console/console.ts"
export { consoleEntrance, consoleRoots } from "./console/entrance.ts"
export { ConsoleProxy } from "./console/proxy.ts"
export * from "./faults.ts"
export { addFlavorAccess, type FlavorAccess, listFlavorAccess, removeFlavorAccess } from "./flavor/access.ts"
export {
  createFlavorExtraSpecs,
  deleteFlavorExtraSpec,
  listFlavorExtraSpecs,
  showFlavorExtraSpec,
  updateFlavorExtraSpec,
} from "./flavor/extra-specs.ts"
export {
  createFlavor,
  deleteFlavor,
  type Flavor,
  findFlavor,
  flavorNoun,
  listFlavors,
  showFlavor,
  updateFlavor,
} from "./flavor/flavor.ts"
export { extraSpecs } from "./flavor/spec-forms.ts"
export { imageProperties } from "./guest-hardware/image-properties.ts"
export { type Adopted, adoptMachine } from "./host/adopt.ts"
export { listBaremetalNodes, showBaremetalNode } from "./host/baremetal.ts"
export { type Host, hostStatusOf } from "./host/host.ts"
export {
  findHypervisor,
  findHypervisorForUptime,
  type HostFacts,
  hostsByName,
  listHosts,
  listHostsOfZones,
  listHypervisorDetails,
  listHypervisors,
  listHypervisorsWithServers,
  listServersOfHost,
  searchHypervisors,
  selectHostFacts,
  showHostUptime,
  showHypervisorUptime,
  sumHypervisors,
} from "./host/read.ts"
export { noteHostLost } from "./host/report.ts"
export {
  deleteService,
  listServices,
  listServicesAsHosts,
  listServicesOfZones,
  type ServiceFacts,
} from "./host/service.ts"
export { type HostLoad, selectProjectLoads } from "./host/store.ts"
export {
  countMachinesAside,
  discardUnknownMachine,
  type Finding,
  type HostFindings,
  listUnknownMachines,
} from "./host/unknown.ts"
export {
  deleteComputeHost,
  hostCommands,
  removeComputeHost,
  removeComputeHosts,
  setHostDisabled,
  updateComputeHost,
  updateOldHost,
} from "./host/update.ts"
export {
  createKeypair,
  deleteKeypair,
  findKeypair,
  type Keypair,
  keypairNoun,
  listKeypairs,
  showKeypair,
} from "./keypair/keypair.ts"
export { createMetadataLists, type MetadataLists, metadataReconcilerName } from "./metadata/host-lists.ts"
export { answerMetadataRequest, type MetadataReply, type MetadataRequest } from "./metadata/request.ts"
export { serveMetadata } from "./metadata/serve.ts"
export { listMigrations, type Migration, migrationNoun, openLiveStatuses } from "./migration/migration.ts"
export {
  abortServerMigration,
  forceServerMigration,
  type LiveMigration,
  listServerMigrations,
  showServerMigration,
} from "./migration/of-server.ts"
export { showQuotaClass, updateQuotaClass } from "./quota/class.ts"
export {
  deleteQuota,
  type QuotaDetail,
  showDefaultQuota,
  showLimits,
  showQuota,
  showQuotaDetail,
  updateQuota,
} from "./quota/quota.ts"
export type { QuotaLimits, QuotaResource } from "./quota/resources.ts"
export { explainServer, type ServerExplanation } from "./schedule/explain-server.ts"
export { schedulerHints } from "./schedule/hints.ts"
export { createAssistedSnapshot, deleteAssistedSnapshot } from "./server/assisted-snapshot.ts"
export type { AttachedDevice } from "./server/block-device.ts"
export type { BlockDeviceRequest } from "./server/block-device-request.ts"
export { changeServerPassword } from "./server/change-password.ts"
export { getConsoleOutput, getDiagnostics } from "./server/console.ts"
export { triggerCrashDump } from "./server/crash-dump.ts"
export { type CreateServersInput, createServers } from "./server/create.ts"
export { createServerBackup } from "./server/create-backup.ts"
export { createServerImage } from "./server/create-image.ts"
export { deleteServer, forceDeleteServer, restoreServer } from "./server/delete.ts"
export { evacuateServer } from "./server/evacuate.ts"
export { type EventVerdict, takeServerEvents } from "./server/external-event.ts"
export { addServerFixedIp, removeServerFixedIp } from "./server/fixed-ip.ts"
export { addServerFloatingIp, removeServerFloatingIp } from "./server/floating-ip.ts"
export { clearGuestPassword, showGuestPassword } from "./server/guest-password.ts"
export { injectNetworkInfo } from "./server/inject-network-info.ts"
export {
  addServerSecurityGroup,
  attachInterface,
  detachInterface,
  listServerInterfaces,
  listServerSecurityGroups,
  removeServerSecurityGroup,
  showServerInterface,
} from "./server/interface.ts"
export { migrateServer, migrateServerLive } from "./server/migrate.ts"
export {
  beginMove,
  confirmMove,
  findServersToMove,
  lookAtMove,
  selectMovesOfHost,
} from "./server/operator-move.ts"
export {
  hardRebootServer,
  pauseServer,
  rebootServer,
  resumeServer,
  startServer,
  stopServer,
  suspendServer,
  unpauseServer,
} from "./server/power.ts"
export {
  checkServerTag,
  type ListedServer,
  listServerAddresses,
  listServerAddressesOfNetwork,
  listServerDetails,
  listServerMetadata,
  listServers,
  listServerTags,
  noNetworking,
  type ServerPage,
  type ServersAsked,
  showRebuiltServer,
  showServer,
  showServerMetadataItem,
  showUpdatedServer,
} from "./server/read.ts"
export { rebuildServer } from "./server/rebuild.ts"
export { rescueServer, unrescueServer } from "./server/rescue.ts"
export { confirmResize, resizeServer, revertResize } from "./server/resize.ts"
export {
  hostIdOf,
  instanceNameOf,
  type Server,
  serverNoun,
  type VmState,
} from "./server/server.ts"
export { shelveOffloadServer, shelveServer, unshelveServer } from "./server/shelve.ts"
export {
  lostStandOf,
  type MoveFacts,
  type MoveProgress,
  type MoveStand,
  type MoveWay,
  standOf,
} from "./server/stand.ts"
export { statesOf, statusOf } from "./server/state.ts"
export { type ServerTopology, showServerTopology } from "./server/topology.ts"
export { openTpmKey } from "./server/tpm.ts"
export {
  addServerTag,
  clearServerTags,
  createServerMetadata,
  deleteServerMetadataItem,
  lockServer,
  removeServerTag,
  replaceServerMetadata,
  replaceServerTags,
  resetServerState,
  unlockServer,
  updateServer,
  updateServerMetadataItem,
} from "./server/update.ts"
export {
  attachVolume,
  detachVolume,
  listServerVolumes,
  showServerVolume,
  swapServerVolume,
  updateServerVolume,
} from "./server/volume.ts"
export { serversOfVolumes } from "./server/volume-extended.ts"
export { listServerActions, type ShownAction, showServerAction } from "./server-action/read.ts"
export type { ServerAction } from "./server-action/server-action.ts"
export {
  createServerGroup,
  deleteServerGroup,
  type GroupPolicy,
  groupPolicies,
  listServerGroups,
  type ServerGroup,
  serverGroupNoun,
  showServerGroup,
} from "./server-group/server-group.ts"
export { showLastUsageAudit, showUsageAudit, type UsageAudit } from "./usage/audit-log.ts"
export { listProjectUsages, showProjectUsage, type UsagePage } from "./usage/read.ts"
export type { ProjectUsage, ServerUsage } from "./usage/usage.ts"
