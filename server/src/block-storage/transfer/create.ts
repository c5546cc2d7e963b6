import { randomBytes } from "node:crypto"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { lockForeignAttachments } from "../attachment/hold.ts"
import { attachmentOfServer, volumeInvalid, volumeNotFound } from "../faults.ts"
import { everything, targetOf } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { visibleVolume } from "../volume/read.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { mustBeAlone } from "./alone.ts"
import { hashOf, keyBytes } from "./key.ts"
import { type Transfer, transferNoun } from "./transfer.ts"

export const createTransfer = operation({
  name: "block_storage.transfer.create",
  input: Type.Object({
    volumeId: Type.String(),
    name: Type.String({ maxLength: 255 }),
    keepsSnapshots: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid, attachmentOfServer],
  load: (ctx, { volumeId }) => visibleVolume(ctx, volumeId),
  rule: "volume:create_transfer",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { volumeId, name, keepsSnapshots }): Promise<{ transfer: Transfer; key: string }> => {
    const [salt, key] = [randomBytes(16), randomBytes(keyBytes).toString("hex")]
    return await transact(ctx.db, async (tx) => {
      // Also of one that an administrator has said to be available.
      if ((await lockForeignAttachments(tx, volumeId)).length > 0)
        throw volumeInvalid(`Volume ${volumeId} is attached.`)
      const volume = await claimVolume(tx, volumeId, "offer")
      await mustBeAlone(tx, volume, { keepsSnapshots })
      const transfer = await insertThing(tx, transferNoun, everything, {
        values: {
          id: newUuid(),
          volume_id: volumeId,
          project_id: volume.projectId,
          name,
          key_salt: salt,
          key_hash: hashOf(salt, key),
          keeps_snapshots: keepsSnapshots,
          created_at: ctx.clock.now(),
        },
        constraint: "transfer_volume_key",
      })
      if (!transfer) throw volumeInvalid(`Volume ${volumeId} is offered already.`)
      await notifyVolume(ctx, tx, volume, "transfer.create.end", actorOf(ctx))
      return { transfer, key }
    })
  },
})
