// A snapshot: the host writes the disk to a file, the image service takes the file.
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { type SagaFailure, type StepContext, saga, type UndoResult, withLog } from "../../engine/saga/saga.ts"
import { discardImage, storeImageFile } from "../../image/index.ts"
import type { Platform } from "../../platform/context/context.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { abandonTask, advanceTask, finishTask, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface CreateImageParams extends TaskParams {
  imageId: string
}

const end = { event: "snapshot", part: "compute_snapshot_instance" }

/** Where the host writes a snapshot before the image service takes it. */
export function snapshotPath(platform: Platform, imageId: string): string {
  return join(platform.config.dataDir, "snapshots", `${imageId}.qcow2`)
}

type SnapshotStep = StepContext<CreateImageParams, object>

export const takeSnapshot = {
  do: async (s: SnapshotStep) => {
    const { ctx, params } = s
    const server = await s.transact((tx) => advanceTask(tx, params, { taskState: "image_snapshot" }))
    if (!server.host) throw serverNotReady(server.id)
    const path = snapshotPath(ctx, params.imageId)
    await mkdir(join(path, ".."), { recursive: true, mode: 0o700 })
    await rm(path, { force: true })
    const fence = { generation: params.generation, fence: s.fence }
    const command = { serverId: server.id, path, fence }
    await callAgent(ctx, server.host, "vm.snapshot", command, { signal: s.signal })
    await s.transact((tx) => advanceTask(tx, params, { taskState: "image_uploading" }))
  },
  undo: (s: SnapshotStep) => rm(snapshotPath(s.ctx, s.params.imageId), { force: true }),
  timeoutMs: 900_000,
}

export const uploadSnapshot = {
  do: async (s: SnapshotStep) => {
    if (await isFinished(s.ctx, s.params)) return
    await heldServer(s.ctx, s.params)
    const path = snapshotPath(s.ctx, s.params.imageId)
    await storeImageFile(s.ctx, s.params.imageId, path)
    await rm(path, { force: true })
    return finishTask(s.ctx, s.params, {}, end)
  },
  undo: async (s: SnapshotStep) => {
    // Whatever failed after it: the user has its image.
    if ("upload" in s.out) return
    return withLog((tx) => discardImage(s.ctx, tx, s.params.imageId))
  },
  timeoutMs: 900_000,
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
