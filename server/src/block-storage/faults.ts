import { fault } from "../platform/fault/fault.ts"

export const volumeNotFound = fault(
  "not_found",
  "block_storage.volume.not_found",
  (id: string) => `Volume ${id} could not be found.`,
)
/** Cinder's words for what the volume's state forbids; its clients expect 400. */
export const volumeInvalid = fault(
  "invalid",
  "block_storage.volume.invalid",
  (reason: string) => `Invalid volume: ${reason}`,
)
/** Another task took the volume while this one worked: it stops and touches nothing. */
export const volumeSuperseded = fault(
  "conflict",
  "block_storage.volume.superseded",
  (id: string) => `Volume ${id} was changed by a later request.`,
)
export const volumeElsewhere = fault(
  "invalid",
  "block_storage.volume.elsewhere",
  (id: string) =>
    `Invalid volume: volume ${id} lies on another host than the server, and its back end cannot be reached from there.`,
)
export const snapshotNotFound = fault(
  "not_found",
  "block_storage.snapshot.not_found",
  (id: string) => `Snapshot ${id} could not be found.`,
)
export const snapshotInvalid = fault(
  "invalid",
  "block_storage.snapshot.invalid",
  (reason: string) => `Invalid snapshot: ${reason}`,
)
export const snapshotSuperseded = fault(
  "conflict",
  "block_storage.snapshot.superseded",
  (id: string) => `Snapshot ${id} was changed by a later request.`,
)
export const attachmentNotFound = fault(
  "not_found",
  "block_storage.attachment.not_found",
  (id: string) => `Volume attachment could not be found with filter: attachment_id = ${id}.`,
)
/** What the compute service alone may end. */
export const attachmentOfServer = fault(
  "conflict",
  "block_storage.attachment.of_server",
  (volumeId: string, serverId: string) =>
    `Detach volume from instance ${serverId} using the Compute API: volume ${volumeId} is in its machine.`,
)
export const volumeTypeNotFound = fault(
  "not_found",
  "block_storage.volume_type.not_found",
  (id: string) => `Volume type ${id} could not be found.`,
)
export const volumeTypeExists = fault(
  "conflict",
  "block_storage.volume_type.exists",
  (name: string) => `Volume Type ${name} already exists.`,
)
export const volumeTypeInUse = fault(
  "invalid",
  "block_storage.volume_type.in_use",
  (id: string) => `Volume type ${id} deletion is not allowed with volumes or groups present with the type.`,
)
export const volumeTypeIsDefault = fault(
  "invalid",
  "block_storage.volume_type.is_default",
  (id: string) => `The volume type ${id} is the default volume type and cannot be deleted.`,
)
export const volumeTypeInvalid = fault(
  "invalid",
  "block_storage.volume_type.invalid",
  (reason: string) => `Invalid volume type: ${reason}`,
)
export const extraSpecNotFound = fault(
  "not_found",
  "block_storage.volume_type.extra_spec_not_found",
  (typeId: string, key: string) => `Volume Type ${typeId} has no extra specs with key ${key}.`,
)
export const typeAccessExists = fault(
  "conflict",
  "block_storage.volume_type.access_exists",
  (typeId: string, projectId: string) =>
    `Volume type access for ${typeId} / ${projectId} combination already exists.`,
)
export const typeAccessNotFound = fault(
  "not_found",
  "block_storage.volume_type.access_not_found",
  (typeId: string, projectId: string) =>
    `Volume type access not found for ${typeId} / ${projectId} combination.`,
)
export const typeEncryptionNotFound = fault(
  "not_found",
  "block_storage.volume_type.encryption_not_found",
  (typeId: string) => `Volume type encryption for type ${typeId} does not exist.`,
)
/** Cinder's answer is 400, as to what is in use. */
export const typeEncryptionExists = fault(
  "invalid",
  "block_storage.volume_type.encryption_exists",
  (typeId: string) => `Volume type encryption for type ${typeId} already exists.`,
)
export const typeEncryptionInUse = fault(
  "invalid",
  "block_storage.volume_type.encryption_in_use",
  (verb: string) => `Cannot ${verb} encryption specs. Volume type in use.`,
)
export const qosSpecsNotFound = fault(
  "not_found",
  "block_storage.qos_specs.not_found",
  (id: string) => `No such QoS spec ${id}.`,
)
export const qosSpecsExists = fault(
  "conflict",
  "block_storage.qos_specs.exists",
  (name: string) => `QoS Specs ${name} already exists.`,
)
export const qosSpecsInvalid = fault(
  "invalid",
  "block_storage.qos_specs.invalid",
  (reason: string) => `Invalid qos specs: ${reason}`,
)
export const qosSpecsKeyNotFound = fault(
  "not_found",
  "block_storage.qos_specs.key_not_found",
  (id: string, key: string) => `QoS spec ${id} has no spec with key ${key}.`,
)
export const qosSpecsInUse = fault(
  "invalid",
  "block_storage.qos_specs.in_use",
  (id: string) => `QoS Specs ${id} is still associated with entities; disassociate these, or ask for force.`,
)
export const metadataKeyNotFound = fault(
  "not_found",
  "block_storage.metadata.not_found",
  (what: string, id: string, key: string) => `${what} ${id} has no metadata with key ${key}.`,
)
export const transferNotFound = fault(
  "not_found",
  "block_storage.transfer.not_found",
  (id: string) => `Transfer ${id} could not be found.`,
)
/** The same whether there is such an offer or not: who has not been told of one learns nothing. */
export const transferKeyWrong = fault(
  "not_found",
  "block_storage.transfer.key_wrong",
  (id: string) => `Transfer ${id} could not be found with this auth key.`,
)
export const imageAmbiguous = fault(
  "conflict",
  "block_storage.image.ambiguous",
  (name: string) => `Multiple matches found for '${name}', use an ID to be more specific.`,
)
export const inputInvalid = fault(
  "invalid",
  "block_storage.input.invalid",
  (reason: string) => `Invalid input received: ${reason}`,
)
export const volumeTooLarge = fault(
  "over_quota",
  "block_storage.volume.too_large",
  (sizeGib: number, most: number) =>
    `Requested volume size ${sizeGib}G is larger than maximum allowed limit ${most}G.`,
)
/** Cinder's words for a back end that cannot be had. */
export const hostInvalid = fault(
  "invalid",
  "block_storage.host.invalid",
  (reason: string) => `Invalid host: ${reason}`,
)
export const poolNotFound = fault(
  "not_found",
  "block_storage.pool.not_found",
  (name: string) => `Service ${name} could not be found.`,
)
/** Cinder's answer to an operator who names a host that takes nothing. */
export const hostUnavailable = fault(
  "unavailable",
  "block_storage.host.unavailable",
  (reason: string) => reason,
)
export const clusterNotFound = fault(
  "not_found",
  "block_storage.cluster.not_found",
  (name: string) => `Cluster ${name} could not be found.`,
)
export const noValidBackend = fault(
  "no_capacity",
  "block_storage.volume.no_valid_backend",
  (reason: string) => `No valid backend was found. ${reason}`,
)
export const extensionNotFound = fault(
  "not_found",
  "block_storage.extension.not_found",
  (alias: string) => `No extension ${alias} is here.`,
)
export const messageNotFound = fault(
  "not_found",
  "block_storage.message.not_found",
  (id: string) => `Message ${id} could not be found.`,
)
export const backupNotFound = fault(
  "not_found",
  "block_storage.backup.not_found",
  (id: string) => `Backup ${id} could not be found.`,
)
export const backupInvalid = fault(
  "invalid",
  "block_storage.backup.invalid",
  (reason: string) => `Invalid backup: ${reason}`,
)
export const backupSuperseded = fault(
  "conflict",
  "block_storage.backup.superseded",
  (id: string) => `Backup ${id} was changed by a later request.`,
)
export const backupStoreFull = fault(
  "no_capacity",
  "block_storage.backup.store_full",
  () => "The store of backups is full.",
)
export const backupStoreAway = fault(
  "unavailable",
  "block_storage.backup.store_away",
  () => "The store of backups does not answer now; try again.",
)
/** For operators: no request names it. */
export const unknownDataNotFound = fault(
  "not_found",
  "block_storage.backup.unknown_data_not_found",
  (id: string) => `No data "${id}" without a backup are in the store of backups.`,
)
/** What was written once is not there any more, or is something else. */
export const backupDamaged = fault(
  "conflict",
  "block_storage.backup.damaged",
  (reason: string) => `The data of the backup are damaged: ${reason}`,
)
export const backupTicketRefused = fault(
  "forbidden",
  "block_storage.backup.ticket_refused",
  (dataId: string) => `The host was not told to bring or fetch the data ${dataId} of a backup.`,
)
/** A host sent what cannot be: nobody else sees this. */
export const backupDataInvalid = fault(
  "invalid",
  "block_storage.backup.data_invalid",
  (reason: string) => `Data of a backup are not taken: ${reason}`,
)

/** To a host that asks for a key. */
export const volumeKeyRefused = fault(
  "not_found",
  "block_storage.volume.key_refused",
  (volumeId: string) => `The host has no encrypted volume ${volumeId}.`,
)

export const volumeConnectionRefused = fault(
  "not_found",
  "block_storage.volume.connection_refused",
  (volumeId: string) => `No machine of the host is to have volume ${volumeId} of another host.`,
)

export const volumeKeyLost = fault(
  "conflict",
  "block_storage.volume.key_lost",
  (volumeId: string) =>
    `The key of volume ${volumeId} was sealed with another secret than this cloud's; restore the file of identity.keySecretFile.`,
)
