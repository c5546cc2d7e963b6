import type { Service } from "../engine/service.ts"
import { createBackupSaga } from "./backup/create.saga.ts"
import { deleteBackupSaga } from "./backup/delete.saga.ts"
import { backupDataReconciler, backupStoreReconciler } from "./backup/remove.reconciler.ts"
import { restoreBackupSaga } from "./backup/restore.saga.ts"
import "./config.ts"
import { connectionsReconciler } from "./connection/end.reconciler.ts"
import { createGroupSaga } from "./group/create.saga.ts"
import { deleteGroupSaga } from "./group/delete.saga.ts"
import { createGroupFromSourceSaga } from "./group/from-source.saga.ts"
import { createGroupSnapshotSaga } from "./group-snapshot/create.saga.ts"
import { deleteGroupSnapshotSaga } from "./group-snapshot/delete.saga.ts"
import { seedGroupTypes } from "./group-type/seed.ts"
import { leftoversReconciler } from "./leftover/leftovers.reconciler.ts"
import { followLogLevel } from "./log-level/log-level.ts"
import { pruneMessagesReconciler } from "./message/prune.reconciler.ts"
import { blockStorageApi } from "./openstack-v3/index.ts"
import { blockStoragePolicies } from "./policy.ts"
import { blockStorageQuota } from "./quota/resources.ts"
import { createSnapshotSaga } from "./snapshot/create.saga.ts"
import { deleteSnapshotSaga } from "./snapshot/delete.saga.ts"
import { manageSnapshotSaga } from "./snapshot/manage.saga.ts"
import { unmanageSnapshotSaga } from "./snapshot/unmanage.saga.ts"
import type {} from "./tables.ts"
import { createVolumeSaga } from "./volume/create.saga.ts"
import { deleteVolumeSaga } from "./volume/delete.saga.ts"
import { extendVolumeSaga } from "./volume/extend.saga.ts"
import { manageVolumeSaga } from "./volume/manage.saga.ts"
import { moveVolumeSaga } from "./volume/move.saga.ts"
import { recodeVolumeSaga } from "./volume/recode.saga.ts"
import { reimageVolumeSaga } from "./volume/reimage.saga.ts"
import { revertVolumeSaga } from "./volume/revert.saga.ts"
import { unmanageVolumeSaga } from "./volume/unmanage.saga.ts"
import { uploadVolumeSaga } from "./volume/upload.saga.ts"
import { seedVolumeTypes } from "./volume-type/seed.ts"

/** Volumes, and what is made of them. */
export const blockStorageService: Service = {
  name: "block_storage",
  apis: [blockStorageApi],
  catalog: { type: "volumev3", name: "cinderv3", path: "/volume/v3/$(project_id)s" },
  classicPorts: [{ port: 8776, mount: "/volume" }],
  policies: blockStoragePolicies,
  quota: blockStorageQuota,
  sagas: [
    createVolumeSaga,
    deleteVolumeSaga,
    extendVolumeSaga,
    moveVolumeSaga,
    recodeVolumeSaga,
    revertVolumeSaga,
    uploadVolumeSaga,
    createSnapshotSaga,
    deleteSnapshotSaga,
    reimageVolumeSaga,
    manageVolumeSaga,
    unmanageVolumeSaga,
    manageSnapshotSaga,
    unmanageSnapshotSaga,
    createGroupSaga,
    deleteGroupSaga,
    createGroupFromSourceSaga,
    createGroupSnapshotSaga,
    deleteGroupSnapshotSaga,
    createBackupSaga,
    deleteBackupSaga,
    restoreBackupSaga,
  ],
  reconcilers: [
    leftoversReconciler,
    connectionsReconciler,
    pruneMessagesReconciler,
    backupDataReconciler,
    backupStoreReconciler,
  ],
  start: async (platform) => await followLogLevel(platform),
  seed: async (platform) => {
    await seedVolumeTypes(platform)
    await seedGroupTypes(platform)
  },
}
