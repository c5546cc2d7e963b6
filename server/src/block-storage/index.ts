// Volumes and what belongs to them. Other services, and the wire, import from here only.
import "./config.ts"
import type {} from "./tables.ts"

export { type Attachment, attachmentNoun } from "./attachment/attachment.ts"
export {
  attachByApi,
  beginDetachByApi,
  detachByApi,
  forceDetachByApi,
  reserveByApi,
  rollDetachByApi,
  unreserveByApi,
} from "./attachment/by-volume.ts"
export { completeAttachment } from "./attachment/complete.ts"
export { createAttachment } from "./attachment/create.ts"
export { deleteAttachment } from "./attachment/delete.ts"
export { getAttachment, listAttachments } from "./attachment/read.ts"
export {
  abandonServerReimage,
  beginServerReimage,
  finishServerReimage,
  leaveServerReimage,
} from "./attachment/server-reimage.ts"
export {
  awaitVolume,
  beginDetachVolume,
  completeVolume,
  connectVolume,
  createServerVolume,
  deleteServerVolume,
  ioLimitsByAttachments,
  keepVolume,
  type ReserveVolume,
  releaseVolume,
  reserveVolume,
  type ServerVolumeWish,
  volumesByIds,
} from "./attachment/server-volume.ts"
export type { VolumeServers } from "./attachment/tell-servers.ts"
export { updateAttachment } from "./attachment/update.ts"
export { type Backup, backupNoun } from "./backup/backup.ts"
export { createBackup } from "./backup/create.ts"
export { deleteBackup } from "./backup/delete.ts"
export { digestsOfPart, openData, readChunk } from "./backup/fetch.ts"
export { placeOfData } from "./backup/file-store.ts"
export { type FromHost, finishData, offerChunks, putChunk } from "./backup/keep.ts"
export { backupDirectory } from "./backup/object-store.ts"
export { countBackups, getBackup, listBackups } from "./backup/read.ts"
export { type ExportedBackup, exportBackup, importBackup } from "./backup/record.ts"
export { restoreBackup } from "./backup/restore.ts"
export { checkBackupTicket } from "./backup/ticket.ts"
export {
  discardUnknownBackup,
  listUnknownBackups,
  type MissingData,
  type UnknownData,
} from "./backup/unknown.ts"
export { resetBackupStatus, resetBackupStatuses, updateBackup } from "./backup/update.ts"
export { backupsWithData } from "./backup/whole.ts"
export {
  type ForeignConnection,
  initializeConnection,
  terminateConnection,
} from "./connection/foreign.ts"
export { openVolumeConnection } from "./connection/open.ts"
export * from "./faults.ts"
export { createGroup } from "./group/create.ts"
export { deleteGroup } from "./group/delete.ts"
export * from "./group/faults.ts"
export { createGroupFromSource } from "./group/from-source.ts"
export { type Group, groupNoun, groupStatuses } from "./group/group.ts"
export { getGroup, listGroups, listVolumesOfGroups } from "./group/read.ts"
export {
  disableReplication,
  enableReplication,
  failoverReplication,
  listReplicationTargets,
} from "./group/replication.ts"
export { resetGroupStatus, updateGroup } from "./group/update.ts"
export { createGroupSnapshot } from "./group-snapshot/create.ts"
export { deleteGroupSnapshot } from "./group-snapshot/delete.ts"
export { type GroupSnapshot, groupSnapshotNoun } from "./group-snapshot/group-snapshot.ts"
export { getGroupSnapshot, listGroupSnapshots } from "./group-snapshot/read.ts"
export { resetGroupSnapshotStatus } from "./group-snapshot/reset-status.ts"
export { createGroupType } from "./group-type/create.ts"
export { deleteGroupType } from "./group-type/delete.ts"
export { type GroupType, groupTypeNoun } from "./group-type/group-type.ts"
export {
  getDefaultGroupType,
  getGroupType,
  listGroupTypes,
  shownGroupSpecs,
} from "./group-type/read.ts"
export {
  addGroupSpecs,
  listGroupSpecs,
  removeGroupSpec,
  setGroupSpec,
  showGroupSpec,
} from "./group-type/spec.ts"
export { updateGroupType } from "./group-type/update.ts"
export { type ShownLevel, setLogLevel, showLogLevels } from "./log-level/log-level.ts"
export { deleteMessage } from "./message/delete.ts"
export { type Message, messageNoun } from "./message/message.ts"
export { getMessage, listMessages } from "./message/read.ts"
export { itemOf } from "./metadata.ts"
export { capabilitiesOf } from "./pool/capabilities.ts"
export { cleanUp } from "./pool/clean-up.ts"
export { getCluster, listClusters, updateCluster } from "./pool/clusters.ts"
export { countVolumesOfHost, forgetHostPools } from "./pool/host.ts"
export { listManageableSnapshots, listManageableVolumes } from "./pool/list-manageable.ts"
export { type ManageableData, type ManageableKind, unmanagedName } from "./pool/manageable.ts"
export { gib } from "./pool/place.ts"
export { poolNoun } from "./pool/pool.ts"
export {
  getPoolCapabilities,
  listHosts,
  listPools,
  listServices,
  listZones,
  type SeenPool,
} from "./pool/read.ts"
export { type HostPools, notePools } from "./pool/report.ts"
export { type Reach, reachOf } from "./pool/share.ts"
export { setPoolUse, showHostUse } from "./pool/use.ts"
export {
  associateQosSpecs,
  disassociateAllQosSpecs,
  disassociateQosSpecs,
  listQosAssociations,
} from "./qos-specs/associate.ts"
export { createQosSpecs } from "./qos-specs/create.ts"
export { deleteQosSpecs } from "./qos-specs/delete.ts"
export { type QosSpecs, qosSpecsNoun } from "./qos-specs/qos-specs.ts"
export { getQosSpecs, listQosSpecs } from "./qos-specs/read.ts"
export { removeQosKeys, setQosSpecs } from "./qos-specs/update.ts"
export { kindsOfTypes } from "./quota/of-types.ts"
export {
  deleteQuota,
  type QuotaDetail,
  showDefaultQuota,
  showLimits,
  showQuota,
  showQuotaClass,
  updateQuota,
  updateQuotaClass,
} from "./quota/quota.ts"
export { quotaResources } from "./quota/resources.ts"
export { createSnapshot } from "./snapshot/create.ts"
export { deleteSnapshot } from "./snapshot/delete.ts"
export { manageSnapshot } from "./snapshot/manage.ts"
export { countSnapshots, getSnapshot, listSnapshots, visibleSnapshot } from "./snapshot/read.ts"
export { awaitSnapshot, createServerSnapshot, takeBackSnapshot } from "./snapshot/server-snapshot.ts"
export { type Snapshot, snapshotNoun, snapshotStatuses } from "./snapshot/snapshot.ts"
export { unmanageSnapshot } from "./snapshot/unmanage.ts"
export {
  noteSnapshotProgress,
  resetSnapshotStatus,
  snapshotMetadata,
  updateSnapshot,
} from "./snapshot/update.ts"
export { volumeOfSnapshot } from "./snapshot/volume-of.ts"
export { acceptTransfer } from "./transfer/accept.ts"
export { createTransfer } from "./transfer/create.ts"
export { deleteTransfer } from "./transfer/delete.ts"
export { getTransfer, listTransfers } from "./transfer/read.ts"
export { type Transfer, transferNoun } from "./transfer/transfer.ts"
export { createVolume } from "./volume/create.ts"
export { deleteVolume } from "./volume/delete.ts"
export { getVolumeEncryption, type VolumeEncryption } from "./volume/encryption.ts"
export { completeExtend, extendVolume } from "./volume/extend.ts"
export {
  arriveFollowing,
  beginFollowing,
  checkFollowing,
  endFollowing,
  type Following,
} from "./volume/follow-server.ts"
export { askWhetherFree, checkHandOver, handOver } from "./volume/hand-over.ts"
export { keysOfImages } from "./volume/image-key.ts"
export { openVolumeKey } from "./volume/key.ts"
export { manageVolume } from "./volume/manage.ts"
export { migrateVolume } from "./volume/migrate.ts"
export { countVolumes, getVolume, listVolumes, visibleVolume } from "./volume/read.ts"
export { type ReimageParams, writeImage, writeTimeoutMs } from "./volume/reimage.saga.ts"
export { planReimage, type ReimagePlan, reimageVolume } from "./volume/reimage.ts"
export { resetVolumeStatus } from "./volume/reset.ts"
export { retypeVolume } from "./volume/retype.ts"
export { revertVolume } from "./volume/revert.ts"
export { summarizeVolumes } from "./volume/summary.ts"
export { checkTakeOver, giveBackTaken, type TakeOver, takeOver } from "./volume/take-over.ts"
export { type DifferingVolumes, listDifferingVolumes } from "./volume/unknown.ts"
export { unmanageVolume } from "./volume/unmanage.ts"
export {
  removeImageMetadata,
  setBootable,
  setImageMetadata,
  setReadOnly,
  showImageMetadata,
  updateVolume,
  volumeMetadata,
} from "./volume/update.ts"
export { uploadFormats, uploadVolume } from "./volume/upload.ts"
export { type Volume, volumeNoun, volumeStatuses } from "./volume/volume.ts"
export { addTypeAccess, listTypeAccess, removeTypeAccess } from "./volume-type/access.ts"
export { findVolumeType } from "./volume-type/choose.ts"
export { createVolumeType } from "./volume-type/create.ts"
export {
  getDefaultType,
  listDefaultTypes,
  setDefaultType,
  unsetDefaultType,
} from "./volume-type/default-type.ts"
export { deleteVolumeType } from "./volume-type/delete.ts"
export {
  controlLocations,
  createTypeEncryption,
  deleteTypeEncryption,
  getTypeEncryption,
  type TypeEncryption,
  updateTypeEncryption,
} from "./volume-type/encryption.ts"
export {
  addExtraSpecs,
  listExtraSpecs,
  removeExtraSpec,
  showExtraSpec,
  shownExtraSpecs,
  updateExtraSpec,
} from "./volume-type/extra-spec.ts"
export { getDefaultVolumeType, getVolumeType, listVolumeTypes } from "./volume-type/read.ts"
export { updateVolumeType } from "./volume-type/update.ts"
export { type VolumeType, volumeTypeNoun } from "./volume-type/volume-type.ts"
