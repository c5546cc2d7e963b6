// Notifications in the words of oslo.messaging's backup.*.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"
import type { Backup } from "./backup.ts"

/** `create.start` → `backup.create.start`. */
export async function notifyBackup(
  platform: Pick<Platform, "outbox" | "config">,
  tx: Tx,
  backup: Backup,
  event: string,
  actor: Actor,
): Promise<void> {
  await platform.outbox.append(tx, {
    type: `backup.${event}`,
    publisher: `backup.${platform.config.host}`,
    projectId: backup.projectId,
    userId: actor.userId,
    requestId: actor.requestId,
    resourceId: backup.id,
    payload: {
      tenant_id: backup.projectId,
      user_id: backup.userId,
      backup_id: backup.id,
      volume_id: backup.volumeId,
      snapshot_id: backup.snapshotId,
      parent_id: backup.parentId,
      display_name: backup.name,
      size: backup.sizeGib,
      status: backup.status,
      availability_zone: backup.availabilityZone,
      created_at: backup.createdAt.toISOString(),
      fail_reason: backup.problem,
    },
    priority: event.endsWith(".error") ? "ERROR" : "INFO",
  })
}
