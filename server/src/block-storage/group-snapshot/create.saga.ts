// Room for all snapshots, then their host copies the volumes: as they are at one moment where the group's type asks
// for that.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { copyVolumes } from "../group/one-moment.ts"
import { removeAllData } from "../leftover/remove.ts"
import { abandonSnapshot, claimRoom, finishSnapshot, leaveRoom } from "../snapshot/create.saga.ts"
import type { Snapshot } from "../snapshot/snapshot.ts"
import { heldSnapshot, selectSnapshot } from "../snapshot/store.ts"
import {
  abandonGroupSnapshot,
  finishGroupSnapshot,
  type GroupSnapshotTask,
  heldGroupSnapshot,
} from "./store.ts"

export interface CreateGroupSnapshotParams extends GroupSnapshotTask {
  isOfOneMoment: boolean
}

/** A snapshot's part of the task. */
export const snapshotTasks = ({ requestId, userId, projectId, snapshots }: GroupSnapshotTask) =>
  snapshots.map((snapshot) => ({ ...snapshot, requestId, userId, projectId }))

export const dataOf = (snapshots: readonly Snapshot[], fence: number) =>
  snapshots.map(({ id: volumeId, generation, host, backend }) => {
    return { volumeId, host, backend, fence: { generation, fence } }
  })

export const createGroupSnapshotSaga = saga<CreateGroupSnapshotParams>(
  "block_storage.group_snapshot.create",
  1,
)
  .step("room", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        await heldGroupSnapshot({ db: tx }, params)
        for (const task of snapshotTasks(params)) await claimRoom(ctx, tx, task)
      }),
    undo: ({ params }) =>
      withLog(async (tx) => {
        for (const task of snapshotTasks(params)) await leaveRoom(tx, task)
      }),
  })
  .step("copy", {
    do: async ({ ctx, params, fence, signal }) => {
      await heldGroupSnapshot(ctx, params)
      const snapshots = await Promise.all(snapshotTasks(params).map((task) => heldSnapshot(ctx, task)))
      const [first] = snapshots
      const { isOfOneMoment } = params
      const copies = snapshots.map(({ id, volumeId: fromId, sizeGib, generation }) => {
        return { id, fromId, sizeGib, generation }
      })
      if (first) await copyVolumes(ctx, first, { copies, isOfOneMoment }, { fence, signal })
      return withLog(async (tx) => {
        for (const task of snapshotTasks(params)) await finishSnapshot(ctx, tx, task, "create")
        await finishGroupSnapshot(ctx, tx, params)
      })
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const held: Snapshot[] = []
      for (const { snapshotId, generation } of params.snapshots) {
        const snapshot = await selectSnapshot(ctx.db, snapshotId)
        if (snapshot?.generation === generation) held.push(snapshot)
      }
      return await removeAllData(ctx, dataOf(held, fence), signal)
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const how = { action: "create", status: "error", failure } as const
      for (const task of snapshotTasks(params)) await abandonSnapshot(ctx, tx, task, how)
      await abandonGroupSnapshot(ctx, tx, params, "create", failure)
    }),
  )
