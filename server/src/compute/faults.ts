import { fault } from "../platform/fault/fault.ts"

export const serverNotFound = fault(
  "not_found",
  "compute.server.not_found",
  (serverId: string) => `Instance ${serverId} could not be found.`,
)
/** Nova's words for an action that the state forbids. */
export const serverInvalidState = fault(
  "conflict",
  "compute.server.invalid_state",
  (serverId: string, action: string, attribute: string, state: string) =>
    `Cannot '${action}' instance ${serverId} while it is in ${attribute} ${state}`,
)
export const serverNotLaunched = fault(
  "conflict",
  "compute.server.not_launched",
  (serverId: string, action: string) => `Instance ${serverId} is in an invalid state for '${action}'`,
)
export const serverNotReady = fault(
  "conflict",
  "compute.server.not_ready",
  (serverId: string) => `Instance ${serverId} is not ready`,
)
export const noServerForEvents = fault(
  "not_found",
  "compute.server.none_for_events",
  () => "No instances found for any event.",
)
export const serverLocked = fault(
  "conflict",
  "compute.server.locked",
  (serverId: string) => `Instance ${serverId} is locked`,
)
/** Another task took the server while this one worked: it stops and touches nothing. */
export const serverSuperseded = fault(
  "conflict",
  "compute.server.superseded",
  (serverId: string) => `Instance ${serverId} was changed by a later request.`,
)
/** It is silent, or said to be down: what is left to do there waits. */
export const hostDown = fault(
  "unavailable",
  "compute.server.host_down",
  () => "The host of the server is down.",
)
/** Nova's words for what would leave behind what a TPM holds. */
export const serverTpmRefused = fault(
  "invalid",
  "compute.server.tpm_refused",
  (operation: string, serverId: string) =>
    `Operation '${operation}' not supported for vTPM-enabled instance (${serverId}).`,
)
export const serverTpmKeyRefused = fault(
  "forbidden",
  "compute.server.tpm_key_refused",
  (serverId: string) => `This host has no server ${serverId} whose TPM it could open.`,
)
export const noValidHost = fault(
  "no_capacity",
  "compute.server.no_valid_host",
  (reason: string) => `No valid host was found. ${reason}`,
)
export const consoleTypeUnavailable = fault(
  "invalid",
  "compute.server.console_type_unavailable",
  (type: string) => `Unavailable console type ${type}.`,
)
export const consoleTypeInvalid = fault(
  "invalid",
  "compute.server.console_type_invalid",
  (type: string) => `Invalid console type ${type}`,
)
export const consoleTokenNotFound = fault(
  "not_found",
  "compute.console.token_not_found",
  () => "Token not found",
)
/** Told to whoever opens a console's address. */
export const consoleTokenUnusable = fault(
  "forbidden",
  "compute.console.token_unusable",
  () => "This address is over, or its server is not there any more. Ask for another one.",
)
export const consoleOriginForeign = fault(
  "forbidden",
  "compute.console.origin_foreign",
  (origin: string) => `Pages of ${origin} may not connect to consoles here; see console.allowedOrigins.`,
)
export const consolesTooMany = fault(
  "rate_limited",
  "compute.console.too_many",
  (most: number) => `There are ${most} open consoles already. Close some.`,
)
export const badRequest = fault("invalid", "compute.bad_request", (message: string) => message)
export const hostNotFound = fault(
  "not_found",
  "compute.host.not_found",
  (host: string) => `Compute host ${host} could not be found.`,
)
export const hostVerbUnsupported = fault(
  "unsupported",
  "compute.host.verb_unsupported",
  () => "The requested functionality is not supported.",
)
export const machineNotUnknown = fault(
  "not_found",
  "compute.machine.not_unknown",
  (id: string, silentHosts: readonly string[]) =>
    `No machine ${id} is unknown or set aside; \`kumoi host unknown\` lists those that are.` +
    (silentHosts.length > 0 ? ` These hosts could not be asked: ${silentHosts.join(", ")}.` : ""),
)
export const machineNotAdoptable = fault(
  "conflict",
  "compute.machine.not_adoptable",
  (id: string, why: string) => `Machine ${id} cannot be adopted: ${why}.`,
)
export const hypervisorNotFound = fault(
  "not_found",
  "compute.hypervisor.not_found",
  (id: string) => `Hypervisor with ID '${id}' could not be found.`,
)
export const hostHasServers = fault(
  "conflict",
  "compute.host.has_servers",
  () => "Unable to delete compute service that is hosting instances. Migrate or delete the instances first.",
)
export const hostHasVolumes = fault(
  "conflict",
  "compute.host.has_volumes",
  (host: string, volumes: number, snapshots: number) =>
    `Host ${host} has ${volumes} volumes and ${snapshots} snapshots, which would be lost with it. Delete these first.`,
)
export const hostIsUp = fault(
  "conflict",
  "compute.host.is_up",
  (host: string) => `Host ${host} still runs: it would come back with its next report.`,
)
export const actionNotFound = fault(
  "not_found",
  "compute.server_action.not_found",
  (requestId: string) => `Action ${requestId} not found`,
)
export const metadataItemNotFound = fault(
  "not_found",
  "compute.server.metadata_item_not_found",
  (_key: string) => "Metadata item was not found",
)
export const tagNotFound = fault(
  "not_found",
  "compute.server.tag_not_found",
  (serverId: string, tag: string) => `Server ${serverId} has no tag '${tag}'`,
)
export const tooManyTags = fault(
  "invalid",
  "compute.server.too_many_tags",
  (most: number) => `The number of tags exceeded the per-server limit ${most}`,
)
export const networkNotOfServer = fault(
  "not_found",
  "compute.server.network_not_found",
  () => "Instance is not a member of specified network",
)
export const interfaceNotFound = fault(
  "not_found",
  "compute.server.interface_not_found",
  (serverId: string, portId: string) => `Instance ${serverId} does not have a port with id ${portId}`,
)
export const agentUnreachable = fault(
  "conflict",
  "compute.server.host_unreachable",
  (host: string) => `The host ${host} of this server does not answer now.`,
)
export const devicePathInUse = fault(
  "conflict",
  "compute.server.device_path_in_use",
  (path: string) => `The supplied device path (${path}) is in use.`,
)
export const volumeNotAttached = fault(
  "not_found",
  "compute.server.volume_not_attached",
  (serverId: string, volumeId: string) => `Instance ${serverId} is not attached to volume ${volumeId}`,
)
export const swapUnsupported = fault(
  "conflict",
  "compute.server.volume_swap_unsupported",
  (volumeId: string) =>
    `volume ${volumeId} is not migrating, and only then one volume takes the place of another; ` +
    "detach it and attach the other one.",
)
export const injectedFilesTooMany = fault(
  "over_quota",
  "compute.server.injected_files_too_many",
  () => "Personality file limit exceeded",
)
export const injectedPathTooLong = fault(
  "over_quota",
  "compute.server.injected_path_too_long",
  (allowed: number) => `Personality file path exceeds maximum ${allowed}`,
)
export const injectedContentTooLong = fault(
  "over_quota",
  "compute.server.injected_content_too_long",
  (allowed: number) => `Personality file content exceeds maximum ${allowed}`,
)
export const serviceNotFound = fault(
  "not_found",
  "compute.service.not_found",
  (id: string) => `Compute service ${id} could not be found.`,
)
export const noMatchingHypervisor = fault(
  "not_found",
  "compute.hypervisor.no_match",
  (pattern: string) => `No hypervisor matching '${pattern}' could be found.`,
)
export const extensionNotFound = fault(
  "not_found",
  "compute.extension.not_found",
  (alias: string) => `There is no extension ${alias}.`,
)
export const noBaremetalService = fault(
  "unsupported",
  "compute.baremetal.none",
  () => "This cloud has no bare metal service.",
)
export const evacuationHostNotFound = fault(
  "not_found",
  "compute.server.evacuation_host_not_found",
  (host: string) => `Compute host ${host} not found.`,
)
export const evacuatedHostBack = fault(
  "conflict",
  "compute.server.evacuated_host_back",
  () => "The host of the server answers again: the server stays where it is.",
)
export const passwordUnsupported = fault(
  "unsupported",
  "compute.server.password_unsupported",
  () => "Unable to set password on instance",
)
/** What Nova has given up, and its sentence. */
export const apiRemoved = fault(
  "not_found",
  "compute.api.removed",
  () => "This resource is no longer available.  No forwarding address is given.",
)
export const zeroDiskFlavor = fault(
  "forbidden",
  "compute.server.zero_disk_flavor",
  () => "Only volume-backed servers are allowed for flavors with zero disk.",
)
export const deletedListForbidden = fault(
  "forbidden",
  "compute.server.deleted_list_forbidden",
  () => "Only administrators may list deleted instances",
)
export const sortForbidden = fault(
  "forbidden",
  "compute.server.sort_forbidden",
  (key: string) => `Only administrators can sort servers by ${key}`,
)
export const fixedIpNotFound = fault(
  "invalid",
  "compute.server.fixed_ip_not_found",
  (address: string, serverId: string) =>
    `Fixed IP address ${address} could not be found on instance ${serverId}.`,
)
export const floatingIpNotFound = fault(
  "not_found",
  "compute.server.floating_ip_not_found",
  (_address: string) => "floating IP not found",
)
export const floatingIpNotOfServer = fault(
  "conflict",
  "compute.server.floating_ip_elsewhere",
  (address: string, serverId: string) =>
    `Floating IP ${address} is not associated with instance ${serverId}.`,
)
/** For a host, never for a user. */
