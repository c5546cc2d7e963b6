import { randomBytes } from "node:crypto"
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { lockAttachments } from "../attachment/hold.ts"
import { volumeInvalid, volumeNotFound } from "../faults.ts"
import { everything, targetOf } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { visibleVolume } from "../volume/read.ts"
import { selectVolume } from "../volume/store.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { mustBeAlone } from "./alone.ts"
import { hashOf, keyBytes } from "./key.ts"
import { transferNoun } from "./transfer.ts"

export const createTransfer = operation({
  name: "block_storage.transfer.create",
  input: Type.Object({
    volumeId: Type.String(),
    name: Type.String({ maxLength: 255 }),
    keepsSnapshots: Type.Boolean(),
    /** The caller knows that a key may go with the volume. */
    mayBeEncrypted: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { volumeId }) => visibleVolume(ctx, volumeId),
  rule: "volume:create_transfer",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { volumeId, name, keepsSnapshots, mayBeEncrypted }) => {
    const [salt, key] = [randomBytes(16), randomBytes(keyBytes).toString("hex")]
    return await transact(ctx.db, async (tx) => {
      const attachments = await lockAttachments(tx, volumeId)
      const now = await selectVolume(tx, volumeId)
      // Also of one that an administrator has said to be available.
      if (now && (now.status !== "available" || attachments.length > 0))
        throw volumeInvalid(
          `status must be available, and volume ${volumeId} is ${attachments.length > 0 ? "attached" : now.status}.`,
        )
      if (now && now.encryptionKeyId !== null) checkEncrypted({ mayBeEncrypted, keepsSnapshots })
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

/** Its snapshots have its key. */
function checkEncrypted(asked: { mayBeEncrypted: boolean; keepsSnapshots: boolean }): void {
  if (!asked.mayBeEncrypted) throw volumeInvalid("transferring encrypted volume is not supported")
  if (asked.keepsSnapshots)
    throw volumeInvalid("transferring an encrypted volume without its snapshots is not supported")
}
