// Of volumes that several have at once: what the volume is while some of them come and go.
import type { Tx } from "../../platform/db/database.ts"
import { volumeInvalid } from "../faults.ts"
import type { VolumeStatus } from "../volume/volume.ts"

/** What a volume with these attachments is. Null: nobody has it. The volume is locked: none comes or goes meanwhile. */
export async function statusByAttachments(tx: Tx, volumeId: string): Promise<VolumeStatus | null> {
  const rows = await tx
    .selectFrom("block_storage.attachment")
    .select("status")
    .where("volume_id", "=", volumeId)
    .execute()
  if (rows.length === 0) return null
  const onTheirWay = (["attaching", "detaching", "reserved"] as const).find((word) =>
    rows.some(({ status }) => status === word),
  )
  return onTheirWay ?? "in-use"
}

/** What is shown of a volume names all of them. */
const attachmentsMost = 64

/** There may be one more attachment of the volume, which is claimed: none comes or goes meanwhile. */
export async function checkRoomForHolder(
  tx: Tx,
  volume: { id: string; isMultiattach: boolean },
): Promise<void> {
  // Of another one there is one at the most.
  if (!volume.isMultiattach) return
  const { count } = await tx
    .selectFrom("block_storage.attachment")
    .select(({ fn }) => fn.countAll<string>().as("count"))
    .where("volume_id", "=", volume.id)
    .executeTakeFirstOrThrow()
  if (Number(count) >= attachmentsMost)
    throw volumeInvalid(`Volume ${volume.id} has ${count} attachments, and may not have more.`)
}

/**
 * A copy is of one moment, and the machine that has the volume takes care of that. Of several nobody can say which
 * moment is the same for all.
 */
export async function checkOneHolder(tx: Tx, volume: { id: string; isMultiattach: boolean }): Promise<void> {
  if (!volume.isMultiattach) return
  const rows = await tx
    .selectFrom("block_storage.attachment")
    .select("id")
    .where("volume_id", "=", volume.id)
    .limit(2)
    .execute()
  if (rows.length < 2) return
  throw volumeInvalid(
    `Volume ${volume.id} is attached more than once, and what several write cannot be copied as of one moment: ` +
      "detach it from all but one before.",
  )
}
