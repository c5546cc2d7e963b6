// A snapshot: the host copies the disk, and brings the copy to the image store.
import { type SagaFailure, type StepContext, saga, type UndoResult, withLog } from "../../engine/saga/saga.ts"
import { discardImage, hasImageData } from "../../image/index.ts"
import { callAgent, discardSnapshot } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { selectServer } from "./store.ts"
import { abandonTask, advanceTask, finishTask, holdServer, isFinished, type TaskParams } from "./task.ts"

export interface CreateImageParams extends TaskParams {
  imageId: string
}

const end = { event: "snapshot", part: "compute_snapshot_instance" }

export type SnapshotStep = StepContext<CreateImageParams, object>

/** What the commands of a snapshot say. */
function snapshotOf({ params, fence }: Pick<SnapshotStep, "params" | "fence">) {
  const { generation, imageId, serverId } = params
  return { serverId, imageId, fence: { generation, fence } }
}

/** A disk is copied, and then brought to the store: each may take as long as `agentCopyTimeoutMs` says. */
export const copyTimeoutMs = 2 * 3_600_000

/** For undoing: the copy goes from the host that the server is on. */
export async function undoSnapshot(s: SnapshotStep): Promise<void> {
  const server = await selectServer(s.ctx.db, s.params.serverId)
  await discardSnapshot(s.ctx, server?.host, snapshotOf(s))
}

/** Brings the copy from the host to the image store; repeatable, also when the copy has been discarded since. */
export async function storeSnapshot(s: SnapshotStep): Promise<void> {
  const { ctx, params, signal } = s
  // The image store does not know this saga: a worker that has lost it must not get as far as the host.
  const { host, id } = await s.transact((tx) => holdServer(tx, params))
  if (!host) throw serverNotReady(id)
  if (!(await hasImageData(ctx, params.imageId)))
    await callAgent(ctx, host, "vm.upload_snapshot", snapshotOf(s), { signal })
  await discardSnapshot(ctx, host, snapshotOf(s))
}

export const takeSnapshot = {
  do: async (s: SnapshotStep) => {
    const { ctx, params, signal } = s
    const server = await s.transact((tx) => advanceTask(tx, params, { taskState: "image_snapshot" }))
    if (!server.host) throw serverNotReady(server.id)
    await callAgent(ctx, server.host, "vm.snapshot", snapshotOf(s), { signal })
    await s.transact((tx) => advanceTask(tx, params, { taskState: "image_uploading" }))
  },
  undo: undoSnapshot,
  timeoutMs: copyTimeoutMs,
}

export const uploadSnapshot = {
  do: async (s: SnapshotStep) => {
    if (await isFinished(s.ctx, s.params)) return
    await storeSnapshot(s)
    return finishTask(s.ctx, s.params, {}, end)
  },
  undo: async (s: SnapshotStep) => {
    // Whatever failed after it: the user has its image.
    if ("upload" in s.out) return
    return withLog((tx) => discardImage(s.ctx, tx, s.params.imageId))
  },
  timeoutMs: copyTimeoutMs,
}

export function abandonSnapshot(s: SnapshotStep & { failure: SagaFailure }): UndoResult {
  if (s.failure.step !== "snapshot" && s.failure.step !== "upload") return
  // The image of a snapshot that failed before its upload began is ours to remove as well.
  return abandonTask(s, {}, end, (tx) => discardImage(s.ctx, tx, s.params.imageId))
}

export const createImageSaga = saga<CreateImageParams>("compute.server.create_image", 1)
  .step("snapshot", takeSnapshot)
  .step("upload", uploadSnapshot)
  .onUnwound(abandonSnapshot)
