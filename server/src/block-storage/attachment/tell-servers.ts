// What the service whose servers have volumes is told of them. It stands on this one and is not imported here: it gives
// itself with the platform, and a program without servers has none.
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"

export interface VolumeServers {
  /** Its guests see the volume's new size. In the transaction that ends the task, which may run again. */
  extended(
    platform: Platform,
    tx: Tx,
    volumeId: string,
    serverIds: readonly string[],
    actor: Actor,
  ): Promise<void>
}

declare module "../../platform/context/context.ts" {
  interface Drivers {
    readonly volumeServers?: VolumeServers
  }
}

export async function tellExtended(platform: Ctx, tx: Tx, volumeId: string, actor: Actor): Promise<void> {
  const { volumeServers } = platform.drivers
  if (!volumeServers) return
  const rows = await tx
    .selectFrom("block_storage.attachment")
    .select("server_id")
    .where("volume_id", "=", volumeId)
    .where("is_of_server", "=", true)
    .where("status", "in", ["attached", "detaching"])
    .execute()
  const serverIds = rows.flatMap(({ server_id }) => server_id ?? [])
  if (serverIds.length > 0) await volumeServers.extended(platform, tx, volumeId, serverIds, actor)
}
