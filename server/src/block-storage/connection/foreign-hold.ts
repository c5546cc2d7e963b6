import type { Tx } from "../../platform/db/database.ts"

/**
 * A machine outside of the cloud has given up the volume. Whoever reserves it afterwards gets another secret, and does
 * not wait until that machine has logged out.
 */
export async function endForeignHold(tx: Tx, volumeId: string): Promise<void> {
  await tx
    .updateTable("block_storage.connection")
    .set({ hold: null })
    .where("volume_id", "=", volumeId)
    .execute()
}
