// The volumes of a server that is being made: those that are not there yet are made on its host, as its project would
// make them; then all are the server's.
import {
  awaitVolume,
  completeVolume,
  connectVolume,
  createServerVolume,
  handOver,
  reserveVolume,
} from "../../block-storage/index.ts"
import type { StepContext } from "../../engine/saga/saga.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { type BlockDevice, changeDevice, hasVolume, plainActor, selectDevices } from "./block-device.ts"
import type { Server } from "./server.ts"
import { advanceTask, heldServer, holdServer, type TaskParams } from "./task.ts"

type Step = StepContext<TaskParams, object>

/** A copy may take two hours, and waits for its turn before. */
export const volumesTimeoutMs = 3 * 3_600_000

/** Until all are made. Those that were begun before are waited for, not begun again. */
export async function makeVolumes(s: Step, host: string): Promise<void> {
  const { ctx, params } = s
  const devices = await selectDevices(ctx.db, await heldServer(ctx, params))
  if (devices.some(({ volumeId }) => volumeId === null)) {
    await s.transact(async (tx) => {
      // Until the end: a delete that came in between would not find these.
      const server = await holdServer(tx, params)
      for (const device of await selectDevices(tx, server)) await beginVolume(ctx, tx, server, host, device)
      await advanceTask(tx, params, { taskState: "block_device_mapping" })
    })
  }
  const made = (await selectDevices(ctx.db, await heldServer(ctx, params))).filter(hasVolume)
  for (const { volumeId, attachmentId } of made)
    if (attachmentId === null) await awaitVolume(ctx, volumeId, s.signal)
}

async function beginVolume(
  ctx: Ctx,
  tx: Tx,
  { projectId, userId }: Server,
  host: string,
  { id, volumeId, sourceType, sourceId, sizeGib, volumeType }: BlockDevice,
): Promise<void> {
  if (volumeId !== null) return
  const volume = await createServerVolume(ctx, tx, {
    ...{ projectId, userId, host, sizeGib, volumeType },
    imageId: sourceType === "image" ? sourceId : null,
    snapshotId: sourceType === "snapshot" ? sourceId : null,
  })
  await changeDevice(tx, id, { volumeId: volume.id })
}

/** Repeatable: what is reserved is not reserved again. */
export async function connectVolumes({ ctx, params }: Step, tx: Tx, host: string): Promise<void> {
  const server = await holdServer(tx, params)
  const { id: serverId, projectId } = server
  for (const { id, volumeId, attachmentId, deviceName } of (await selectDevices(tx, server)).filter(
    hasVolume,
  )) {
    if (attachmentId === null) {
      const attachment = await reserveVolume(ctx, tx, { volumeId, serverId, projectId, device: deviceName })
      await changeDevice(tx, id, { attachmentId: attachment.id })
    }
    await handOver(ctx, tx, volumeId, host)
    await connectVolume(tx, { volumeId, serverId, host })
  }
  await advanceTask(tx, params, { taskState: "spawning" })
}

/** The machine runs with them. */
export async function completeVolumes(ctx: Ctx, tx: Tx, params: TaskParams): Promise<void> {
  const server = await holdServer(tx, params)
  if (server.host === null) throw new Error("a server is placed before it runs")
  for (const { id, serverId, volumeId } of (await selectDevices(tx, server)).filter(hasVolume)) {
    await changeDevice(tx, id, { state: "attached" })
    await completeVolume(ctx, tx, { serverId, volumeId, host: server.host }, plainActor(params))
  }
}
