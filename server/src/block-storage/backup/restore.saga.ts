// The host fetches the data; until they are whole there, the volume has those of before.
import { sql } from "kysely"
import { saga, withLog } from "../../engine/saga/saga.ts"
import { jsonb } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { awaitCopies } from "../volume/copies.ts"
import { placeOf } from "../volume/extend.saga.ts"
import { abandonVolume, finishVolume, heldVolume, type VolumeTask } from "../volume/task.ts"
import type { VolumeFacts } from "./backup.ts"
import { endRestore } from "./end-restore.ts"
import { finishRestoringKey } from "./key.ts"
import type { RestoredBackup } from "./origin.ts"

export interface RestoreParams extends VolumeTask {
  from: RestoredBackup
  facts: VolumeFacts
}

export const restoreBackupSaga = saga<RestoreParams>("block_storage.backup.restore", 1)
  .step("restore", {
    do: async ({ ctx, params, fence, signal }) => {
      const volume = await heldVolume(ctx, params)
      const { host, backend } = placeOf(volume)
      const { generation, from, facts, volumeId } = params
      const command = { volumeId, backend, dataId: from.dataId, fence: { generation, fence } }
      await awaitCopies(ctx, volumeId, signal)
      await callAgent(ctx, host, "volume.restore", command, { signal })
      return withLog(async (tx) => {
        const { imageMetadata, isBootable, metadata } = facts
        await finishRestoringKey(ctx, tx, from.id, volumeId)
        await finishVolume(ctx, tx, params, "restore", { status: "available", imageMetadata, isBootable })
        await tx
          .updateTable("block_storage.volume")
          .set({ metadata: sql<Record<string, string>>`metadata || ${jsonb(metadata)}` })
          .where("id", "=", volumeId)
          .execute()
        await endRestore(ctx, tx, from, params, "end")
      })
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      await abandonVolume(ctx, tx, params, "restore", { changes: { status: "error_restoring" }, failure })
      await endRestore(ctx, tx, params.from, params, "error")
    }),
  )
