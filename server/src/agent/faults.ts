import { fault } from "../platform/fault/fault.ts"

/** Someone newer owns the machine or the volume; the sender must stop, not repeat. */
export const agentFenceStale = fault(
  "conflict",
  "agent.fence.stale",
  (id: string) => `A newer command for ${id} has been accepted already.`,
)

export const agentMachineNotFound = fault(
  "not_found",
  "agent.machine.not_found",
  (serverId: string) => `Machine ${serverId} is not on this host.`,
)

/** Only who starts a machine's process for the cloud can ask for it. */
export const agentTpmKeyMissing = fault(
  "unavailable",
  "agent.machine.tpm_key_missing",
  (serverId: string) => `Machine ${serverId} has a TPM, whose key the host must ask the cloud for.`,
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

/** As above. */
export const agentLiveBroken = fault(
  "bug",
  "agent.machine.live_broken",
  (serverId: string, why: string) => `Machine ${serverId} did not get to the other host: ${why}`,
)

/** Its guest is between two hosts, and the other one has them. */
export const agentMachineDisksTaken = fault(
  "conflict",
  "agent.machine.disks_taken",
  (serverId: string) => `Machine ${serverId} does not get its disks: another one has them.`,
)

/** Somebody has asked for it. The guest stays where it is. */
export const agentLiveAborted = fault(
  "conflict",
  "agent.machine.live_aborted",
  (serverId: string) => `The live migration of machine ${serverId} was aborted.`,
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

export const agentGuestAgentMissing = fault(
  "conflict",
  "agent.machine.guest_agent_missing",
  (serverId: string) =>
    `QEMU guest agent is not enabled for machine ${serverId}: its image has no hw_qemu_guest_agent=yes.`,
)

export const agentGuestAgentSilent = fault(
  "conflict",
  "agent.machine.guest_agent_silent",
  (serverId: string) => `The agent in the guest of machine ${serverId} does not answer.`,
)

export const agentGuestRefuses = fault(
  "conflict",
  "agent.machine.guest_refuses",
  (serverId: string, why: string) => `The agent in the guest of machine ${serverId} refuses: ${why}`,
)

/** PCI has so many places; on q35, behind ports of its own. */
export const agentPlaceMissing = fault(
  "conflict",
  "agent.machine.place_missing",
  (serverId: string) => `Machine ${serverId} has no free place for another device.`,
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

/** As one that is started from a volume has no root disk of its own. */
export const agentDiskMissing = fault(
  "conflict",
  "agent.disk.missing",
  (serverId: string, disk: string) => `Machine ${serverId} has no disk "${disk}" of its own.`,
)

export const agentDiskCopyBroken = fault(
  "unavailable",
  "agent.disk.copy_broken",
  (serverId: string, disk: string, why: string) =>
    `Disk "${disk}" of machine ${serverId} did not come over whole: ${why}`,
)

export const agentDiskTooSmall = fault(
  "invalid",
  "agent.disk.too_small",
  (disk: string, hasBytes: number, needsBytes: number) =>
    `Disk "${disk}" of ${hasBytes} bytes is smaller than its image, which needs ${needsBytes} bytes.`,
)

/** Somebody has written into it what QEMU does not write by itself. For operators: a guest may have broken out. */
export const agentDiskRefused = fault(
  "conflict",
  "agent.disk.refused",
  (file: string, why: string) => `The disk file ${file} is not used: ${why}.`,
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

export const agentBackendUnknown = fault(
  "unsupported",
  "agent.volume.backend_unknown",
  (backend: string) => `This host has no volumes of the back end "${backend}".`,
)

export const agentUnmanagedUnsupported = fault(
  "unsupported",
  "agent.volume.unmanaged_unsupported",
  (backend: string) => `The back end "${backend}" has no data beside its volumes.`,
)

export const agentDataNotFound = fault(
  "not_found",
  "agent.volume.data_not_found",
  (name: string) => `There are no unmanaged data called "${name}" on this host.`,
)

export const agentDataUnfit = fault(
  "invalid",
  "agent.volume.data_unfit",
  (name: string, why: string) => `The data called "${name}" cannot become a volume: ${why}`,
)

/** Why is for the log, as the fault's cause: see `backendAway`. */
export const agentBackendAway = fault(
  "unavailable",
  "agent.volume.backend_away",
  (backend: string) => `The back end "${backend}" of volumes cannot be used now.`,
)

export const agentVolumeNotFound = fault(
  "not_found",
  "agent.volume.not_found",
  (volumeId: string) => `Volume ${volumeId} is not on this host.`,
)

export const agentVolumeExists = fault(
  "conflict",
  "agent.volume.exists",
  (volumeId: string, sizeBytes: number) => `Volume ${volumeId} is there already, with ${sizeBytes} bytes.`,
)

export const agentVolumeInUse = fault(
  "conflict",
  "agent.volume.in_use",
  (volumeId: string, serverId: string) => `Machine ${serverId} has volume ${volumeId}.`,
)

export const agentVolumeConnected = fault(
  "conflict",
  "agent.volume.connected",
  (volumeId: string) =>
    `A machine of another host has volume ${volumeId} open: stop its server, or detach the volume.`,
)

export const agentVolumeNotExported = fault(
  "conflict",
  "agent.volume.not_exported",
  (volumeId: string, backend: string) =>
    `The back end "${backend}" gives volume ${volumeId} to no machine of another host.`,
)

export const agentVolumeShared = fault(
  "conflict",
  "agent.volume.shared",
  (volumeId: string) =>
    `Several machines have volume ${volumeId}, and what several write cannot be copied as of one moment.`,
)

export const agentVolumeBusy = fault(
  "unavailable",
  "agent.volume.busy",
  (volumeId: string) => `Too many commands wait for volume ${volumeId}.`,
)

/** What the store gave is not what was put there. */
export const agentBackupDamaged = fault(
  "conflict",
  "agent.backup.damaged",
  (chunk: number) => `The data of the backup are damaged: chunk ${chunk} is not what it was.`,
)

export const agentBackupTooLarge = fault(
  "invalid",
  "agent.backup.too_large",
  (hasBytes: number, mostBytes: number) =>
    `The backup has ${hasBytes} bytes, and the volume that it is restored to ${mostBytes}.`,
)

export const agentVolumeTooSmall = fault(
  "invalid",
  "agent.volume.too_small",
  (volumeId: string, hasBytes: number, needsBytes: number) =>
    `Volume ${volumeId} of ${hasBytes} bytes is smaller than what it is made from, which needs ${needsBytes} bytes.`,
)

export const agentVolumeNoRoomForHeader = fault(
  "conflict",
  "agent.volume.no_room_for_header",
  (volumeId: string, headerBytes: number) =>
    `The last ${headerBytes} bytes of volume ${volumeId} are in use, and encrypted it has so much less room: extend it before.`,
)

/** Its machine ended meanwhile, as a rule: then the next try finds the volume at rest. */
export const agentVolumeCopyBroken = fault(
  "unavailable",
  "agent.volume.copy_broken",
  (volumeId: string, why: string) => `The copy of volume ${volumeId} broke off: ${why}`,
)

/** Nothing halts several machines at one moment. */
export const agentVolumesApart = fault(
  "conflict",
  "agent.volume.apart",
  (serverIds: readonly string[]) =>
    `Volumes of several machines (${serverIds.join(", ")}) cannot be copied as they are at one moment.`,
)

/** A command names the back end where it was, or came while it is not settled where it is. */
export const agentVolumeMoving = fault(
  "unavailable",
  "agent.volume.moving",
  (volumeId: string) => `Volume ${volumeId} is being moved to another back end of its host; ask again.`,
)

/** What QEMU said is for the log, as the fault's cause. */
export const agentVolumeOpenFailed = fault(
  "bug",
  "agent.volume.open_failed",
  (volumeId: string, why: string) => `The hypervisor could not open volume ${volumeId}: ${why}`,
)

export const agentCipherUnsupported = fault(
  "invalid",
  "agent.volume.cipher_unsupported",
  (cipher: string, keySizeBits: number) =>
    `Volumes are not encrypted with ${cipher} and ${keySizeBits} bits; aes-xts-plain64 and 256 bits would be right.`,
)

/** A start that was not told who gives out keys. */
export const agentVolumeKeyMissing = fault(
  "conflict",
  "agent.volume.key_missing",
  (volumeId: string) => `Volume ${volumeId} is encrypted, and nobody was named who gives out its key.`,
)

/** QEMU copies from above what decrypts, and would write what it has read there as it is. */
export const agentVolumeMoveEncrypted = fault(
  "conflict",
  "agent.volume.move_encrypted",
  (volumeId: string) =>
    `Volume ${volumeId} is encrypted, and moves while its guest is switched off or has it not; then ask again.`,
)
