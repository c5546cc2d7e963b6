import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { transferNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { volumeRules } from "../volume/state.ts"
import { takeVolume } from "../volume/store.ts"
import { actorOf } from "../volume/task.ts"
import { visibleTransfer } from "./read.ts"

export const deleteTransfer = operation({
  name: "block_storage.transfer.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [transferNotFound],
  load: (ctx, { id }) => visibleTransfer(ctx, id),
  rule: "volume:delete_transfer",
  target: (_ctx, _input, transfer) => targetOf(transfer),
  run: async (ctx, { id }, { volumeId }) => {
    await transact(ctx.db, async (tx) => {
      const gone = await tx.deleteFrom("block_storage.transfer").where("id", "=", id).executeTakeFirst()
      if (gone.numDeletedRows === 0n) throw transferNotFound(id)
      // Of a volume that an administrator has said to be something else, the offer goes and no more.
      const volume = await takeVolume(tx, volumeId, volumeRules.withdraw)
      if (volume) await notifyVolume(ctx, tx, volume, "transfer.delete.end", actorOf(ctx))
    })
  },
})
