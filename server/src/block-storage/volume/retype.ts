// Another type for a volume. Where its back end is no such one, the volume is moved, and where its data are to be
// encrypted, or not any more, they are made anew, if the caller agrees.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { inputInvalid, noValidBackend, volumeInvalid, volumeNotFound, volumeTypeNotFound } from "../faults.ts"
import { fitsExtraSpecs } from "../pool/capabilities.ts"
import { poolNoun } from "../pool/pool.ts"
import { enforceTypeQuota, type TypeAsk } from "../quota/of-types.ts"
import { targetOf } from "../viewer.ts"
import { findVolumeType } from "../volume-type/choose.ts"
import { isMultiattachType, type VolumeType } from "../volume-type/volume-type.ts"
import { placeOf } from "./extend.saga.ts"
import { beginRecoding, type Coding, codingFor } from "./key.ts"
import { beginMove, whyNotMove } from "./move.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { recodeVolumeSaga } from "./recode.saga.ts"
import { changeVolume } from "./store.ts"
import { actorOf, claimVolume } from "./task.ts"
import type { Volume, VolumeStatus } from "./volume.ts"

export const retypeVolume = operation({
  name: "block_storage.volume.retype",
  input: Type.Object({ id: Type.String(), volumeType: Type.String(), mayMove: Type.Boolean() }),
  faults: [volumeNotFound, volumeInvalid, volumeTypeNotFound, inputInvalid, noValidBackend, quotaExceeded],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume:retype",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, volumeType, mayMove }, volume) => {
    const type = await findVolumeType(ctx, volumeType)
    if (type.id === volume.volumeTypeId) throw inputInvalid(`New volume_type same as original: ${type.name}.`)
    const isMultiattach = isMultiattachType(type)
    if (isMultiattach && !volume.isMultiattach)
      ctx.policy.enforce(ctx.caller, "volume:multiattach", targetOf(volume))
    await transact(ctx.db, async (tx) => {
      const claimed = await claimVolume(tx, id, "retype")
      if (claimed.groupId !== null)
        throw volumeInvalid(`Volume ${id} must not be part of a group to be given another type.`)
      const status = (claimed.previousStatus ?? "available") as VolumeStatus
      // A machine has the volume as one that is shared, or as one that is not.
      if (isMultiattach !== claimed.isMultiattach && status !== "available")
        throw inputInvalid(
          "Invalid volume_type passed, retypes affecting multiattach are only allowed on available volumes, the " +
            `specified volume however currently has a status of: ${status}.`,
        )
      const becomes = await codingFor(tx, id, type)
      if (becomes !== null && status !== "available")
        throw inputInvalid(
          "Invalid volume_type passed, retypes affecting encryption are only allowed on available volumes, the " +
            `specified volume however currently has a status of: ${status}.`,
        )
      await enforceTypeQuota(ctx, tx, await whatMoves(tx, claimed, type.id))
      const pool = await findThing(tx, poolNoun, undefined as never, `${claimed.host}@${claimed.backend}`)
      const isElsewhere = pool !== undefined && !fitsExtraSpecs(pool, type.extraSpecs)
      if (becomes !== null) {
        if (!mayMove)
          throw inputInvalid(
            `Retype requires migration but is not allowed: the data of volume ${id} are made anew for volume type ` +
              `${type.name}; say migration_policy on-demand.`,
          )
        if (isElsewhere)
          throw inputInvalid(
            `Retype is not possible in one step: volume type ${type.name} asks for another back end than ` +
              `${claimed.backend} and for data that are ${becomes === "luks" ? "" : "not "}encrypted.`,
          )
        return await beginRecode(ctx, tx, claimed, { type, becomes, isMultiattach })
      }
      if (isElsewhere) {
        if (!mayMove)
          throw inputInvalid(
            `Retype requires migration but is not allowed: volume type ${type.name} asks for another back end than ` +
              `${claimed.backend}; say migration_policy on-demand.`,
          )
        return await beginMove(ctx, tx, claimed, {
          event: "retype",
          volumeTypeId: type.id,
          isMultiattach,
          isLocked: true,
          to: null,
        })
      }
      // As it was: nothing has to be done for it.
      const task = { volumeId: id, generation: claimed.generation }
      const changed = await changeVolume(tx, task, { status, volumeTypeId: type.id, isMultiattach })
      if (changed) await notifyVolume(ctx, tx, changed, "retype", actorOf(ctx))
    })
  },
})

/** On the back end where it is. */
async function beginRecode(
  ctx: Ctx,
  tx: Tx,
  claimed: Volume,
  { type, becomes, isMultiattach }: { type: VolumeType; becomes: Coding; isMultiattach: boolean },
): Promise<void> {
  const { id: volumeId, generation } = claimed
  const why = await whyNotMove(tx, claimed)
  if (why !== null) throw volumeInvalid(why)
  // Throws when it has no data.
  placeOf(claimed)
  await beginRecoding(ctx, tx, { id: volumeId, type, isMultiattach }, becomes)
  // The type stays as it is, as for a move.
  await tx
    .updateTable("block_storage.volume")
    .set({ target_type_id: type.id })
    .where("id", "=", volumeId)
    .execute()
  const actor = actorOf(ctx)
  await notifyVolume(ctx, tx, claimed, "retype.start", actor)
  const params = { volumeId, generation, ...actor, becomes, volumeTypeId: type.id, isMultiattach }
  await ctx.sagas.start(tx, recodeVolumeSaga, params, { requestId: ctx.requestId, resourceId: volumeId })
}

/** The volume with its snapshots; those that another project has kept are no business of its owner's. */
async function whatMoves(tx: Tx, { id, projectId, sizeGib }: Volume, typeId: string): Promise<TypeAsk> {
  const { count, sum } = tx.fn
  const { snapshots, gigabytes } = await tx
    .selectFrom("block_storage.snapshot")
    .select([count<number>("id").as("snapshots"), sum<number | null>("size_gib").as("gigabytes")])
    .where("volume_id", "=", id)
    .where("project_id", "=", projectId)
    .executeTakeFirstOrThrow()
  const add = { volumes: 1, gigabytes: sizeGib + Number(gigabytes ?? 0), snapshots: Number(snapshots) }
  return { projectId, typeId, add, isOfTypeOnly: true }
}
