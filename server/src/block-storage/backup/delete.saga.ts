// The data first, then the row. Data that another backup has too stay: one of them was imported.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { letDataGoUnlessHeld, removeGoing } from "./data.ts"
import { notifyBackup } from "./notification.ts"
import { abandonBackup, type BackupTask, heldBackup, removeBackup } from "./store.ts"

export const deleteBackupSaga = saga<BackupTask>("block_storage.backup.delete", 1)
  .step("data", {
    do: async ({ ctx, params, transact }) => {
      const dataId = await transact(async (tx) => {
        const { id, dataId } = await heldBackup({ db: tx }, params)
        return dataId !== null && (await letDataGoUnlessHeld(tx, dataId, id)) ? dataId : null
      })
      if (dataId !== null) await removeGoing(ctx, dataId)
    },
    timeoutMs: 600_000,
  })
  .step("rows", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const backup = await heldBackup({ db: tx }, params)
        await removeBackup(tx, params)
        // Another one of the same data may have looked when this one still was.
        if (backup.dataId !== null) await letDataGoUnlessHeld(tx, backup.dataId, backup.id)
        await notifyBackup(ctx, tx, backup, "delete.end", params)
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) =>
      abandonBackup(ctx, tx, params, {
        ...{ event: "delete", action: "backup_delete", status: "error_deleting", failure },
      }),
    ),
  )
