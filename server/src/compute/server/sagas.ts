import { createServerSaga } from "./create.saga.ts"
import { createImageSaga } from "./create-image.saga.ts"
import { deleteServerSaga } from "./delete.saga.ts"
import {
  hardRebootServerSaga,
  pauseServerSaga,
  rebootServerSaga,
  startServerSaga,
  stopServerSaga,
  unpauseServerSaga,
} from "./power.saga.ts"
import { rebuildServerSaga } from "./rebuild.saga.ts"
import { resizeServerSaga, revertResizeSaga } from "./resize.saga.ts"

export const serverSagas = [
  createServerSaga,
  createImageSaga,
  deleteServerSaga,
  hardRebootServerSaga,
  pauseServerSaga,
  rebootServerSaga,
  rebuildServerSaga,
  resizeServerSaga,
  revertResizeSaga,
  startServerSaga,
  stopServerSaga,
  unpauseServerSaga,
]
