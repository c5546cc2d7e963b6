import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { visibleVolume } from "./read.ts"

export interface VolumeEncryption {
  keyId: string
  provider: string
  controlLocation: string
  cipher: string | null
  keySize: number | null
}

/** Null: it is not encrypted. What opens it is nobody's to read. */
export const getVolumeEncryption = operation({
  name: "block_storage.volume.get_encryption",
  input: Type.Object({ id: Type.String() }),
  faults: [volumeNotFound],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_encryption_metadata",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }): Promise<VolumeEncryption | null> => {
    const found = await ctx.db
      .selectFrom("block_storage.volume_key")
      .select(["id as keyId", "provider", "control_location as controlLocation", "cipher"])
      .select("key_size as keySize")
      .where("volume_id", "=", id)
      .executeTakeFirst()
    return found ?? null
  },
})
