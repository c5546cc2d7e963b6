import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { giveToInitiator } from "../connection/foreign.ts"
import { attachmentNotFound, attachmentOfServer, inputInvalid, volumeInvalid } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { Connector, checkConnector, connect, holdAttachment } from "./hold.ts"
import { visibleAttachment } from "./read.ts"

/** Says how the volume is reached. */
export const updateAttachment = operation({
  name: "block_storage.attachment.update",
  input: Type.Object({ id: Type.String(), connector: Connector }),
  faults: [attachmentNotFound, attachmentOfServer, volumeInvalid, inputInvalid],
  load: (ctx, { id }) => visibleAttachment(ctx, id),
  rule: "volume:attachment_update",
  target: (_ctx, _input, attachment) => targetOf(attachment),
  run: async (ctx, { connector }, attachment) => {
    checkConnector(connector)
    const held = await transact(ctx.db, async (tx) =>
      connect(ctx, tx, await holdAttachment(tx, attachment), connector),
    )
    return { ...held, connection: await giveToInitiator(ctx, held.volumeId, connector) }
  },
})
