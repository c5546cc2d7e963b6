import { timingSafeEqual } from "node:crypto"
import { Type } from "typebox"
import { type Tx, transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { inputInvalid, transferKeyWrong, volumeInvalid, volumeNotFound } from "../faults.ts"
import { enforceTypeQuotaOfMade } from "../quota/of-types.ts"
import { everything } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { mustBeAlone } from "./alone.ts"
import { hashOf } from "./key.ts"
import { transferNoun } from "./transfer.ts"

/** The one thing that a project may do with another one's: whoever knows the key has been told of it. */
export const acceptTransfer = operation({
  name: "block_storage.transfer.accept",
  input: Type.Object({ id: Type.String(), key: Type.String({ maxLength: 255 }) }),
  faults: [transferKeyWrong, volumeInvalid, volumeNotFound, inputInvalid, quotaExceeded],
  load: async (ctx, { id }) => {
    const transfer = await findThing(ctx.db, transferNoun, everything, id)
    if (!transfer) throw transferKeyWrong(id)
    return transfer
  },
  rule: "volume:accept_transfer",
  run: async (ctx, { id, key }, transfer) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw inputInvalid("a volume needs a project: use a token with project scope.")
    await transact(ctx.db, async (tx) => {
      const secret = await tx
        .selectFrom("block_storage.transfer")
        .select(["key_salt", "key_hash", "keeps_snapshots"])
        .where("id", "=", id)
        .forUpdate()
        .executeTakeFirst()
      if (!secret || !timingSafeEqual(hashOf(secret.key_salt, key), secret.key_hash))
        throw transferKeyWrong(id)
      const { volumeId } = transfer
      const volume = await claimVolume(tx, volumeId, "withdraw", { projectId, userId })
      await mustBeAlone(tx, volume, { keepsSnapshots: secret.keeps_snapshots })
      const snapshots = secret.keeps_snapshots ? [] : await takeSnapshots(tx, volumeId, { projectId, userId })
      await tx.deleteFrom("block_storage.transfer").where("id", "=", id).execute()
      await notifyVolume(ctx, tx, volume, "transfer.accept.end", actorOf(ctx))
      const gigabytes = snapshots.reduce((sum, sizeGib) => sum + sizeGib, volume.sizeGib)
      const add = { volumes: 1, gigabytes, snapshots: snapshots.length }
      await enforceTypeQuotaOfMade(ctx, tx, { projectId, typeId: volume.volumeTypeId, add })
    })
    return transfer
  },
})

/** The sizes of those that go with the volume. */
async function takeSnapshots(
  tx: Tx,
  volumeId: string,
  { projectId, userId }: { projectId: string; userId: string },
): Promise<number[]> {
  const taken = await tx
    .updateTable("block_storage.snapshot")
    .set({ project_id: projectId, user_id: userId })
    .where("volume_id", "=", volumeId)
    .returning("size_gib")
    .execute()
  return taken.map(({ size_gib: sizeGib }) => sizeGib)
}
