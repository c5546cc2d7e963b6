import { crashDumpSaga } from "./crash-dump.saga.ts"
import { createServerSaga, createServerWithVolumesSaga } from "./create.saga.ts"
import { createBackupSaga } from "./create-backup.saga.ts"
import { createImageSaga } from "./create-image.saga.ts"
import { createVolumeImageSaga } from "./create-volume-image.saga.ts"
import { deleteServerSaga } from "./delete.saga.ts"
import { evacuateServerSaga } from "./evacuate.saga.ts"
import { attachInterfaceSaga, detachInterfaceSaga } from "./interface.saga.ts"
import { arriveSaga, liveMigrateSaga } from "./live-migrate.saga.ts"
import { leaveHostSaga, migrateServerSaga, revertMigrateSaga } from "./migrate.saga.ts"
import {
  hardRebootServerSaga,
  pauseServerSaga,
  rebootServerSaga,
  resumeServerSaga,
  startServerSaga,
  stopServerSaga,
  suspendServerSaga,
  unpauseServerSaga,
} from "./power.saga.ts"
import { rebuildOnVolumeSaga, rebuildServerSaga } from "./rebuild.saga.ts"
import { rescueServerSaga, unrescueServerSaga } from "./rescue.saga.ts"
import { resizeServerSaga, revertResizeSaga } from "./resize.saga.ts"
import { shelveOffloadSaga, shelveServerSaga, unshelveServerSaga } from "./shelve.saga.ts"
import { restoreServerSaga, softDeleteServerSaga } from "./soft-delete.saga.ts"
import { attachVolumeSaga, detachVolumeSaga } from "./volume.saga.ts"

export const serverSagas = [
  attachInterfaceSaga,
  detachInterfaceSaga,
  attachVolumeSaga,
  detachVolumeSaga,
  createServerSaga,
  createServerWithVolumesSaga,
  createBackupSaga,
  createImageSaga,
  createVolumeImageSaga,
  crashDumpSaga,
  deleteServerSaga,
  evacuateServerSaga,
  hardRebootServerSaga,
  leaveHostSaga,
  migrateServerSaga,
  liveMigrateSaga,
  arriveSaga,
  revertMigrateSaga,
  pauseServerSaga,
  rebootServerSaga,
  rebuildOnVolumeSaga,
  rebuildServerSaga,
  rescueServerSaga,
  resizeServerSaga,
  resumeServerSaga,
  revertResizeSaga,
  restoreServerSaga,
  softDeleteServerSaga,
  shelveOffloadSaga,
  shelveServerSaga,
  startServerSaga,
  stopServerSaga,
  suspendServerSaga,
  unpauseServerSaga,
  unrescueServerSaga,
  unshelveServerSaga,
]
