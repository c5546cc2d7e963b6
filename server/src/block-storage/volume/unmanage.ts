import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { whyNotDelete } from "./delete.ts"
import { refuseEncrypted } from "./key.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { actorOf, claimVolume } from "./task.ts"
import { unmanageVolumeSaga } from "./unmanage.saga.ts"

/** The cloud forgets the volume; its data stay, beside the others. */
export const unmanageVolume = operation({
  name: "block_storage.volume.unmanage",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_unmanage",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const volume = await claimVolume(tx, id, "unmanage")
      refuseEncrypted(volume, "unmanaged data without their key would be lost")
      const why = await whyNotDelete(tx, volume, { isCascading: false, isForced: false })
      if (why !== null) throw volumeInvalid(why)
      const actor = actorOf(ctx)
      await notifyVolume(ctx, tx, volume, "unmanage.start", actor)
      const params = { volumeId: id, generation: volume.generation, ...actor }
      await ctx.sagas.start(tx, unmanageVolumeSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})
