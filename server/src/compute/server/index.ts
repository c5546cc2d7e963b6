// What of servers, hosts and the metadata service other parts of the program may use.
export type { VmDiagnostics } from "../../agent/protocol.ts"
export * from "../faults.ts"
export { type Host, hostStatusOf } from "../host/host.ts"
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
  showHostUptime,
  showHypervisorUptime,
  sumHypervisors,
} from "../host/read.ts"
export {
  deleteService,
  listServices,
  listServicesAsHosts,
  listServicesOfZones,
  type ServiceFacts,
} from "../host/service.ts"
export { deleteComputeHost, hostCommands, updateComputeHost, updateOldHost } from "../host/update.ts"
export { serveMetadata } from "../metadata/serve.ts"
export { listServerActions, type ShownAction, showServerAction } from "../server-action/read.ts"
export type { ServerAction } from "../server-action/server-action.ts"
export { getConsoleOutput, getDiagnostics, getRemoteConsole } from "./console.ts"
export { type BlockDeviceRequest, type CreateServersInput, createServers } from "./create.ts"
export { createServerBackup } from "./create-backup.ts"
export { createServerImage } from "./create-image.ts"
export { deleteServer, forceDeleteServer } from "./delete.ts"
export { type EventVerdict, takeServerEvents } from "./external-event.ts"
export { addServerFixedIp, removeServerFixedIp } from "./fixed-ip.ts"
export { addServerFloatingIp, removeServerFloatingIp } from "./floating-ip.ts"
export { clearGuestPassword, showGuestPassword } from "./guest-password.ts"
export {
  addServerSecurityGroup,
  attachInterface,
  detachInterface,
  listServerInterfaces,
  listServerSecurityGroups,
  removeServerSecurityGroup,
  showServerInterface,
} from "./interface.ts"
export {
  hardRebootServer,
  pauseServer,
  rebootServer,
  resumeServer,
  startServer,
  stopServer,
  suspendServer,
  unpauseServer,
} from "./power.ts"
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
} from "./read.ts"
export { rebuildServer } from "./rebuild.ts"
export { rescueServer, unrescueServer } from "./rescue.ts"
export { confirmResize, resizeServer, revertResize } from "./resize.ts"
export {
  hostIdOf,
  instanceNameOf,
  type Server,
  serverNoun,
  type VmState,
} from "./server.ts"
export { shelveServer, unshelveServer } from "./shelve.ts"
export { statesOf, statusOf } from "./state.ts"
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
} from "./update.ts"
