import type { IoLimits } from "../../agent/protocol.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Volume } from "../volume/volume.ts"
import { ioLimitsOf } from "./io-limits.ts"

/** What a machine that is given the volume now is held to; null: nothing. */
export async function ioLimitsOfVolume(
  tx: Tx,
  { volumeTypeId, sizeGib }: Pick<Volume, "volumeTypeId" | "sizeGib">,
): Promise<IoLimits | null> {
  if (volumeTypeId === null) return null
  const specs = await tx
    .selectFrom("block_storage.volume_type")
    .innerJoin(
      "block_storage.qos_specs",
      "block_storage.qos_specs.id",
      "block_storage.volume_type.qos_specs_id",
    )
    .select(["consumer", "specs"])
    .where("block_storage.volume_type.id", "=", volumeTypeId)
    .executeTakeFirst()
  return specs && specs.consumer !== "back-end" ? ioLimitsOf(specs.specs, sizeGib) : null
}
