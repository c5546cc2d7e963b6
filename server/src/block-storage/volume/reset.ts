// An administrator says what a volume is, whatever task it is in.

import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { nullable, word } from "../../platform/schema/make.ts"
import { callAgent } from "../agent-call.ts"
import { refuseKeyInDoubt } from "../backup/key.ts"
import { endForeignHold } from "../connection/foreign-hold.ts"
import { volumeInvalid, volumeNotFound } from "../faults.ts"
import { gib } from "../pool/place.ts"
import { everything, targetOf } from "../viewer.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { movingRefusal } from "./state.ts"
import { changeVolume, lockVolume, setVolumeStatus } from "./store.ts"
import { actorOf } from "./task.ts"
import { type Volume, volumeNoun, volumeStatuses } from "./volume.ts"

export const resetVolumeStatus = operation({
  name: "block_storage.volume.reset_status",
  input: Type.Object({
    id: Type.String(),
    status: nullable(word(volumeStatuses)),
    /** Nobody has it: what compute has put into a machine stays there. */
    isDetached: Type.Boolean(),
    /** As if it had never been moved. */
    forgetsMigration: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_admin_actions:reset_status",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, status, isDetached, forgetsMigration }) => {
    const isUsable = status === "available" || status === "in-use"
    const reset = await transact(ctx.db, async (tx) => {
      const now = await lockVolume(tx, id)
      if (!now) throw volumeNotFound(id)
      // It waits for its host, at the longest; nobody else knows where its data are.
      if (now.targetHost !== null) throw volumeInvalid(movingRefusal("reset the status of", id))
      if (forgetsMigration)
        await updateThing(tx, volumeNoun, everything, id, {
          migration_status: null,
          updated_at: ctx.clock.now(),
        })
      if (isDetached) {
        await tx
          .deleteFrom("block_storage.attachment")
          .where("volume_id", "=", id)
          .where("is_of_server", "=", false)
          .execute()
        await endForeignHold(tx, id)
      }
      if (status === null) return
      if (isUsable) await refuseKeyInDoubt(tx, id)
      const volume = await setVolumeStatus(tx, id, status)
      if (!volume) throw volumeNotFound(id)
      if (isUsable && volume.host === null) throw volumeInvalid(`Volume ${id} has no data: delete it.`)
      await notifyVolume(ctx, tx, volume, "update_status.end", actorOf(ctx))
      return volume
    })
    if (reset && isUsable) await confirmData(ctx, reset)
  },
})

/**
 * The host is told that nobody of before may change the volume any more, finds its data, and makes them as large as the
 * row says: an extend may have been cut short. A host that does not answer must not keep an administrator from it.
 */
async function confirmData(ctx: Ctx, { id, host, backend, generation, sizeGib }: Volume): Promise<void> {
  if (host === null || backend === null) return
  const fence = { generation, fence: 0 }
  try {
    await callAgent(ctx, host, "volume.extend", { volumeId: id, backend, sizeBytes: sizeGib * gib, fence })
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    if (error.code !== "agent.volume.not_found") {
      ctx.log.warn({ volumeId: id, err: error }, "nobody knows whether the data of a reset volume are there")
      return
    }
    const problem = "Its data are gone: delete it."
    await transact(ctx.db, (tx) =>
      changeVolume(tx, { volumeId: id, generation }, { status: "error", problem }),
    )
    throw volumeInvalid(`The data of volume ${id} are gone: delete it.`)
  }
}
