import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { attachmentNotFound, attachmentOfServer, volumeInvalid } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { holdAttachment, letGo } from "./hold.ts"
import { visibleAttachment } from "./read.ts"

export const deleteAttachment = operation({
  name: "block_storage.attachment.delete",
  input: Type.Object({ id: Type.String() }),
  faults: [attachmentNotFound, attachmentOfServer, volumeInvalid],
  load: (ctx, { id }) => visibleAttachment(ctx, id),
  rule: "volume:attachment_delete",
  target: (_ctx, _input, attachment) => targetOf(attachment),
  run: async (ctx, _input, attachment) => {
    await transact(ctx.db, async (tx) => letGo(ctx, tx, await holdAttachment(tx, attachment)))
  },
})
