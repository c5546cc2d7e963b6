// Room where the volume is, then its host copies the data of one moment.
import { type SagaFailure, saga, withLog } from "../../engine/saga/saga.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { removeData } from "../leftover/remove.ts"
import { type MessageAction, noteMessage } from "../message/note.ts"
import { claimMore, gib, giveBack } from "../pool/place.ts"
import type { Actor } from "../volume/notification.ts"
import { messageFor } from "../volume/task.ts"
import { notifySnapshot } from "./notification.ts"
import type { SnapshotStatus } from "./snapshot.ts"
import { advanceSnapshot, changeSnapshot, heldSnapshot, type SnapshotTask, selectSnapshot } from "./store.ts"

export interface CreateSnapshotParams extends SnapshotTask, Actor {}

export async function claimRoom(platform: Ctx, tx: Tx, task: SnapshotTask): Promise<void> {
  const snapshot = await heldSnapshot({ db: tx }, task)
  if (snapshot.hasRoom) return
  await claimMore(platform, tx, snapshot, snapshot.sizeGib)
  await advanceSnapshot(tx, task, { has_room: true })
}

export async function leaveRoom(tx: Tx, task: SnapshotTask): Promise<void> {
  const snapshot = await selectSnapshot(tx, task.snapshotId)
  // Of one that a later task has, that task gives back the room.
  if (snapshot?.generation !== task.generation || !snapshot.hasRoom) return
  await giveBack(tx, snapshot, snapshot.sizeGib)
  await advanceSnapshot(tx, task, { has_room: false })
}

export async function finishSnapshot(
  platform: Platform,
  tx: Tx,
  task: SnapshotTask & Actor,
  event: string,
): Promise<void> {
  const snapshot = await advanceSnapshot(tx, task, { status: "available", problem: null })
  await notifySnapshot(platform, tx, snapshot, `${event}.end`, task)
}

/** After a failure and its undoing. */
export async function abandonSnapshot(
  platform: Platform,
  tx: Tx,
  task: SnapshotTask & Actor,
  { action, status, failure }: { action: MessageAction; status: SnapshotStatus; failure: SagaFailure },
): Promise<void> {
  const text = messageFor(failure)
  const snapshot = await changeSnapshot(tx, task, { status, problem: text })
  if (!snapshot) return
  await notifySnapshot(platform, tx, snapshot, `${action}.error`, task)
  const { id: resourceId, projectId } = snapshot
  const { requestId } = task
  const about = { resourceType: "VOLUME_SNAPSHOT", resourceId, projectId, requestId } as const
  await noteMessage(platform, tx, { ...about, action, failure, text })
}

export const createSnapshotSaga = saga<CreateSnapshotParams>("block_storage.snapshot.create", 1)
  .step("room", {
    do: ({ ctx, params }) => withLog((tx) => claimRoom(ctx, tx, params)),
    undo: ({ params }) => withLog((tx) => leaveRoom(tx, params)),
  })
  .step("copy", {
    do: async ({ ctx, params, fence, signal }) => {
      const { backend, host, id, sizeGib, volumeId } = await heldSnapshot(ctx, params)
      const command = {
        volumeId: id,
        backend,
        sizeBytes: sizeGib * gib,
        source: { kind: "volume", volumeId } as const,
        fence: { generation: params.generation, fence },
      }
      await callAgent(ctx, host, "volume.create", command, { signal })
      return withLog((tx) => finishSnapshot(ctx, tx, params, "create"))
    },
    undo: async ({ ctx, params, fence, signal }) => {
      const { generation, snapshotId } = params
      const snapshot = await selectSnapshot(ctx.db, snapshotId)
      if (snapshot?.generation !== generation) return
      return await removeData(ctx, snapshot, { volumeId: snapshotId, fence: { generation, fence } }, signal)
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog((tx) => abandonSnapshot(ctx, tx, params, { action: "create", status: "error", failure })),
  )
