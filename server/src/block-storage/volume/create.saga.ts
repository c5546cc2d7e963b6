// From a row to a volume with data: a place, then what the host makes there.
import { saga, withLog } from "../../engine/saga/saga.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { callAgent } from "../agent-call.ts"
import { endRestore } from "../backup/end-restore.ts"
import { removeData } from "../leftover/remove.ts"
import { claimPlace, gib, giveBack, type Place } from "../pool/place.ts"
import { everything } from "../viewer.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"
import type { VolumeOrigin } from "./create.ts"
import { selectVolume } from "./store.ts"
import { luksFormat } from "./stored-key.ts"
import { abandonVolume, advanceVolume, finishVolume, heldVolume, type VolumeTask } from "./task.ts"

export interface CreateVolumeParams extends VolumeTask {
  source: VolumeOrigin
  at: Place | null
  host: string | null
}

export async function place(
  ctx: Ctx,
  tx: Tx,
  params: VolumeTask & Pick<CreateVolumeParams, "at" | "host">,
): Promise<Place> {
  const volume = await heldVolume({ db: tx }, params)
  if (volume.host !== null && volume.backend !== null) return { host: volume.host, backend: volume.backend }
  const type = volume.volumeTypeId && (await findThing(tx, volumeTypeNoun, everything, volume.volumeTypeId))
  const extraSpecs = type ? type.extraSpecs : {}
  const { at, host } = params
  const found = await claimPlace(ctx, tx, { sizeGib: volume.sizeGib, extraSpecs, at, reachedFrom: host })
  await advanceVolume(tx, params, { place: found })
  return found
}

/** As if it had never been placed; of a volume that another task has now, that task gives back the room. */
export async function leavePlace(tx: Tx, params: VolumeTask): Promise<void> {
  const volume = await selectVolume(tx, params.volumeId)
  if (volume?.generation !== params.generation || volume.host === null || volume.backend === null) return
  await giveBack(tx, { host: volume.host, backend: volume.backend }, volume.sizeGib)
  await advanceVolume(tx, params, { place: null })
}

/** In the agent's words: a snapshot is a volume like others there. */
function sourceFor(source: VolumeOrigin) {
  if (source.kind === "blank") return undefined
  if (source.kind === "image") return source
  if (source.kind === "backup") return { kind: "backup", dataId: source.dataId } as const
  return { kind: "volume", volumeId: source.id } as const
}

/** Its data are encrypted already. */
const isLuks = (source: VolumeOrigin) => source.kind === "image" && source.diskFormat === luksFormat

export const createVolumeSaga = saga<CreateVolumeParams>("block_storage.volume.create", 1)
  .step("place", {
    do: ({ ctx, params }) => withLog((tx) => place(ctx, tx, params), { isFlushedLater: true }),
    undo: ({ params }) => withLog((tx) => leavePlace(tx, params)),
  })
  .step("make", {
    do: async ({ ctx, params, out, fence, signal }) => {
      const { host, backend } = out.place
      const { id: volumeId, sizeGib, encryptionKeyId } = await heldVolume(ctx, params)
      const source = sourceFor(params.source)
      const command = {
        volumeId,
        backend,
        sizeBytes: sizeGib * gib,
        fence: { generation: params.generation, fence },
        ...(source ? { source } : {}),
        ...(encryptionKeyId !== null && !isLuks(params.source) && { encrypted: true }),
      }
      await callAgent(ctx, host, "volume.create", command, { signal })
      return withLog(async (tx) => {
        await finishVolume(ctx, tx, params, "create", { status: "available" })
        if (params.source.kind === "backup") await endRestore(ctx, tx, params.source, params, "end")
      })
    },
    undo: async ({ ctx, params, out, fence, signal }) => {
      if (!out.place) return
      const { volumeId, generation } = params
      // A later task decides what is there.
      if ((await selectVolume(ctx.db, volumeId))?.generation !== generation) return
      return await removeData(ctx, out.place, { volumeId, fence: { generation, fence } }, signal)
    },
    timeoutMs: 2 * 3_600_000,
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const status = params.source.kind === "backup" ? "error_restoring" : "error"
      await abandonVolume(ctx, tx, params, "create", { changes: { status }, failure })
      if (params.source.kind === "backup") await endRestore(ctx, tx, params.source, params, "error")
    }),
  )
