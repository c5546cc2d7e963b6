import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { attachmentNotFound, attachmentOfServer } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { holdAttachment, setStatus } from "./hold.ts"
import { visibleAttachment } from "./read.ts"

export const completeAttachment = operation({
  name: "block_storage.attachment.complete",
  input: Type.Object({ id: Type.String() }),
  faults: [attachmentNotFound, attachmentOfServer],
  load: (ctx, { id }) => visibleAttachment(ctx, id),
  rule: "volume:attachment_complete",
  target: (_ctx, _input, attachment) => targetOf(attachment),
  run: async (ctx, { id }, attachment) => {
    await transact(ctx.db, async (tx) => {
      await holdAttachment(tx, attachment)
      await tx
        .updateTable("block_storage.attachment")
        .set({ status: "attached", attached_at: ctx.clock.now() })
        .where("id", "=", id)
        .execute()
      await setStatus(tx, attachment.volumeId, "in-use")
    })
  },
})
