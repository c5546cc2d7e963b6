// The host of the volume brings the data of one moment; volume and snapshot are as they were before and after.
import { sql } from "kysely"
import { saga, withLog } from "../../engine/saga/saga.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { snapshotSuperseded, volumeInvalid, volumeSuperseded } from "../faults.ts"
import { selectSnapshot } from "../snapshot/store.ts"
import { statusBefore } from "../volume/extend.saga.ts"
import { changeVolume, lockVolume, selectVolume } from "../volume/store.ts"
import { beginData, letDataGo, removeGoing, selectData } from "./data.ts"
import { chunkBytesFor } from "./keep.ts"
import { notifyBackup } from "./notification.ts"
import {
  abandonBackup,
  advanceBackup,
  type BackupTask,
  changeBackup,
  heldBackup,
  selectBackup,
} from "./store.ts"

export interface BackupSource {
  kind: "volume" | "snapshot"
  id: string
  generation: number
}

export interface CreateBackupParams extends BackupTask {
  source: BackupSource
}

export const createBackupSaga = saga<CreateBackupParams>("block_storage.backup.create", 1)
  .step("copy", {
    do: async ({ ctx, params, fence, signal, transact }) => {
      const backup = await heldBackup(ctx, params)
      const isThere = backup.dataId !== null && (await selectData(ctx.db, backup.dataId))?.isWhole
      if (!isThere) {
        const { host, backend } = await placeOfSource(ctx, params.source)
        const chunkBytes = await chunkBytesFor(ctx, backup)
        const dataId = await transact((tx) => beginData(tx, params))
        const { id: volumeId, generation } = params.source
        const command = { volumeId, backend, dataId, chunkBytes, fence: { generation, fence } }
        await callAgent(ctx, host, "volume.backup", command, { signal })
      }
      return withLog(async (tx) => {
        const made = await advanceBackup(tx, params, { status: "available", problem: null })
        await releaseSource(tx, params.source)
        await notifyBackup(ctx, tx, made, "create.end", params)
      })
    },
    undo: async ({ ctx, params, transact }) => {
      // Of one that a later task has, that task removes the data.
      const dataId = await transact(async (tx) => {
        const backup = await selectBackup(tx, params.backupId)
        if (backup?.generation !== params.generation || backup.dataId === null) return null
        await letDataGo(tx, backup.dataId)
        await changeBackup(tx, params, { data_id: null })
        return backup.dataId
      })
      if (dataId !== null) await removeGoing(ctx, dataId)
      return withLog((tx) => releaseSource(tx, params.source))
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      await releaseSource(tx, params.source)
      const how = { event: "create", action: "backup", status: "error", failure } as const
      await abandonBackup(ctx, tx, params, how)
    }),
  )

/** Where the data lie, as long as the task holds them. */
async function placeOfSource({ db }: Ctx, { kind, id, generation }: BackupSource) {
  if (kind === "snapshot") {
    const snapshot = await selectSnapshot(db, id)
    if (snapshot?.generation !== generation) throw snapshotSuperseded(id)
    return snapshot
  }
  const volume = await selectVolume(db, id)
  if (volume?.generation !== generation) throw volumeSuperseded(id)
  const { host, backend } = volume
  if (host === null || backend === null) throw volumeInvalid(`Volume ${id} has no data yet.`)
  return { host, backend }
}

/** Repeatable; of what another task has nothing changes. */
async function releaseSource(tx: Tx, { kind, id, generation }: BackupSource): Promise<void> {
  if (kind === "snapshot") {
    await tx
      .updateTable("block_storage.snapshot")
      .set({ status: "available", updated_at: sql<Date>`now()` })
      .where("id", "=", id)
      .where("generation", "=", generation)
      .where("status", "=", "backing-up")
      .execute()
    return
  }
  const volume = await lockVolume(tx, id)
  if (volume?.generation !== generation || volume.status !== "backing-up") return
  // As it is now: its server may have been deleted meanwhile.
  await changeVolume(tx, { volumeId: id, generation }, { status: statusBefore(volume) })
}
