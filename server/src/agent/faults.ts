import { fault } from "../platform/fault/fault.ts"

/** Someone newer owns the machine; the sender must stop, not repeat. */
export const agentFenceStale = fault(
  "conflict",
  "agent.fence.stale",
  (serverId: string) => `A newer command for machine ${serverId} has been accepted already.`,
)

export const agentMachineNotFound = fault(
  "not_found",
  "agent.machine.not_found",
  (serverId: string) => `Machine ${serverId} is not on this host.`,
)

export const agentMachineExists = fault(
  "conflict",
  "agent.machine.exists",
  (serverId: string) => `The host has a machine of server ${serverId} already.`,
)

/** The other side is of another version. */
export const agentCommandUnknown = fault(
  "unsupported",
  "agent.command.unknown",
  (command: string) => `The agent of the host does not know the command "${command}".`,
)

export const agentMachineBusy = fault(
  "unavailable",
  "agent.machine.busy",
  (serverId: string) => `Too many commands wait for machine ${serverId}.`,
)

export const agentStopping = fault(
  "unavailable",
  "agent.host.stopping",
  (host: string) => `Host ${host} is shutting down and takes no commands.`,
)

/** Of the cloud's data directory on that host; who made the request need not know which host. */
export const agentDiskFull = fault(
  "no_capacity",
  "agent.host.disk_full",
  () => "The disk of the host is full. The operator of the cloud must make room there.",
)

/** What QEMU or a tool of the host said is for the log, as the fault's cause. */
export const agentStartFailed = fault(
  "bug",
  "agent.machine.start_failed",
  (serverId: string, why: string) => `The hypervisor could not start machine ${serverId}: ${why}`,
)

/** As above. The guest goes on. */
export const agentSuspendFailed = fault(
  "bug",
  "agent.machine.suspend_failed",
  (serverId: string, why: string) => `The hypervisor could not suspend machine ${serverId}: ${why}`,
)

export const agentMachineStateWrong = fault(
  "conflict",
  "agent.machine.wrong_state",
  (what: string, power: string) => `Cannot ${what} a machine that is ${power}.`,
)

export const agentGuestKeepsDevice = fault(
  "conflict",
  "agent.machine.guest_keeps_device",
  (serverId: string) => `The guest of machine ${serverId} does not let go of the device.`,
)

export const agentPropertyUnsupported = fault(
  "unsupported",
  "agent.machine.property_unsupported",
  (property: string, value: string, right: string) => `This host cannot do ${property}=${value}: ${right}`,
)

export const agentAbilityMissing = fault(
  "unsupported",
  "agent.host.ability_missing",
  (driver: string, ability: string) => `The hypervisor "${driver}" cannot do this: ${ability}.`,
)

export const agentDiskTooSmall = fault(
  "invalid",
  "agent.disk.too_small",
  (disk: string, hasBytes: number, needsBytes: number) =>
    `Disk "${disk}" of ${hasBytes} bytes is smaller than its image, which needs ${needsBytes} bytes.`,
)

export const agentImageRefused = fault(
  "invalid",
  "agent.image.refused",
  (imageId: string, why: string) => `Image ${imageId} cannot be used: ${why}`,
)

export const agentImageChecksumWrong = fault(
  "invalid",
  "agent.image.checksum_wrong",
  (imageId: string) => `The data of image ${imageId} does not match its checksum.`,
)

export const agentImageMissing = fault(
  "unavailable",
  "agent.image.missing",
  (imageId: string) => `The data of image ${imageId} cannot be read now.`,
)

/** For operators: no request waits for it. */
export const agentMetadataFailed = fault(
  "unavailable",
  "agent.host.metadata_failed",
  (why: string) => `Guests of the host are not answered for their metadata as they should be: ${why}`,
)

/** It was discarded, or lay here for too long. */
export const agentSnapshotMissing = fault(
  "not_found",
  "agent.snapshot.missing",
  (imageId: string) => `The copy of the disk for image ${imageId} is not on its host any more.`,
)

export const agentCacheFull = fault(
  "no_capacity",
  "agent.image.cache_full",
  (needBytes: number, limitBytes: number) =>
    `The image cache of this host has no room for ${needBytes} bytes (limit ${limitBytes}).`,
)
