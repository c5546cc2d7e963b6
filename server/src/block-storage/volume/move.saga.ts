// The data go to the other back end, then the row names it: what is asked for again in between is found done. On one
// host the agent moves them, and leaves nothing. Between hosts they are copied, and what the first one has is noted to
// be removed when the row names the second one.
import { relay } from "../../engine/relay.ts"
import { saga, withLog } from "../../engine/saga/saga.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { volumeInvalid } from "../faults.ts"
import { noteLeftover, removeData } from "../leftover/remove.ts"
import { gib, giveBack, type Place } from "../pool/place.ts"
import { statusBefore } from "./extend.saga.ts"
import { lockVolume, selectVolume } from "./store.ts"
import {
  abandonVolume,
  advanceVolume,
  finishVolume,
  heldVolume,
  holdVolume,
  type VolumeTask,
} from "./task.ts"
import type { Volume, VolumeStatus } from "./volume.ts"

export interface MoveParams extends VolumeTask {
  event: "migrate" | "retype"
  from: Place
  to: Place
  /** Of another type from then on. */
  volumeTypeId: string | null
  isMultiattach: boolean
}

/** While it has the status of the task; otherwise what it is now: its server may have let go of it. */
function statusAfter(volume: Volume): VolumeStatus {
  const isOfTask = volume.status === "maintenance" || volume.status === "retyping"
  return isOfTask ? statusBefore(volume) : volume.status
}

export const moveVolumeSaga = saga<MoveParams>("block_storage.volume.move", 1)
  .step("room", {
    do: async ({ ctx, params, signal }) => {
      await mustBeNew(ctx, params, signal)
      return withLog(async (tx) => void (await advanceVolume(tx, params, { migrationStatus: "migrating" })), {
        isFlushedLater: true,
      })
    },
    undo: ({ params }) =>
      withLog(async (tx) => {
        const volume = await lockVolume(tx, params.volumeId)
        if (volume?.generation !== params.generation || volume.targetHost === null) return
        await giveBack(tx, params.to, volume.sizeGib)
        await advanceVolume(tx, params, { target: null })
      }),
  })
  .step("data", {
    do: async ({ ctx, params, fence, signal }) => {
      await heldVolume(ctx, params)
      await bringData(ctx, params, { fence, signal })
      return withLog((tx) => settle(ctx, tx, params))
    },
    undo: async ({ ctx, params, fence, signal }) => {
      // Another task takes it only after this one has let go of it.
      const { volumeId, generation, from, to } = params
      if ((await selectVolume(ctx.db, volumeId))?.generation !== generation) return
      if (from.host !== to.host)
        return await removeData(ctx, to, { volumeId, fence: { generation, fence } }, signal)
      await moveData(ctx, params, { from: to, to: from }, { fence, signal })
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const volume = await lockVolume(tx, params.volumeId)
      if (volume?.generation !== params.generation) return
      const changes = { status: statusAfter(volume), migrationStatus: "error" } as const
      await abandonVolume(ctx, tx, params, params.event, { changes, failure })
    }),
  )

interface How {
  fence: number
  signal: AbortSignal
}

/**
 * Before the first of its data are sent, there are none at the other host: otherwise the two are one storage that was
 * not known to be one, and what is removed at the end, here or there, would be the volume itself.
 */
async function mustBeNew(ctx: Ctx, { volumeId, from, to }: MoveParams, signal: AbortSignal): Promise<void> {
  if (from.host === to.host) return
  const asked = { volumeId, backend: to.backend }
  const { volume: there } = await callAgent(ctx, to.host, "volume.inspect", asked, { signal })
  if (there)
    throw volumeInvalid(
      `Volume ${volumeId} is at ${to.host}@${to.backend} already: it is the same storage, or has data of before.`,
    )
}

/** Repeatable. */
async function bringData(ctx: Ctx, params: MoveParams, how: How): Promise<void> {
  const { from, to } = params
  if (from.host === to.host) return await moveData(ctx, params, { from, to }, how)
  const { volumeId, generation } = params
  const { signal } = how
  const asked = { volumeId, backend: to.backend }
  // From an earlier try of this task: whoever was there before has left nothing (`beginMove`).
  const { volume: there } = await callAgent(ctx, to.host, "volume.inspect", asked, { signal })
  if (there) return
  const { sizeGib } = await heldVolume(ctx, params)
  const common = { volumeId, fence: { generation, fence: how.fence } }
  await relay(
    ctx,
    {
      ...{ from: from.host, to: to.host, names: ["data"], signal },
      timeoutMs: ctx.config.blockStorage.agentCopyTimeoutMs,
    },
    {
      send: ({ data: streamId = "" }, until) =>
        callAgent(
          ctx,
          from.host,
          "volume.send",
          { ...common, backend: from.backend, streamId },
          { signal: until },
        ),
      receive: ({ data: streamId = "" }, until) => {
        const args = { ...common, backend: to.backend, sizeBytes: sizeGib * gib, streamId }
        return callAgent(ctx, to.host, "volume.receive", args, { signal: until })
      },
    },
  )
}

/** Repeatable, there and back. */
async function moveData(
  ctx: Ctx,
  { volumeId, generation }: MoveParams,
  { from, to }: { from: Place; to: Place },
  { fence, signal }: How,
): Promise<void> {
  const places = { fromBackend: from.backend, backend: to.backend }
  const command = { volumeId, ...places, fence: { generation, fence } }
  await callAgent(ctx, to.host, "volume.move", command, { signal })
}

async function settle(ctx: Ctx, tx: Tx, params: MoveParams): Promise<void> {
  const { from, to, event, volumeTypeId, isMultiattach, volumeId, generation } = params
  const volume = await holdVolume(tx, params)
  await giveBack(tx, from, volume.sizeGib)
  if (from.host !== to.host) await noteLeftover(tx, from, { volumeId, generation })
  await finishVolume(ctx, tx, params, event, {
    ...{ place: to, target: null, migrationStatus: "success", status: statusAfter(volume) },
    ...(volumeTypeId === null ? {} : { volumeTypeId, isMultiattach }),
  })
}
