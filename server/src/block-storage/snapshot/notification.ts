// Notifications in the words of oslo.messaging's snapshot.*.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"
import type { Snapshot } from "./snapshot.ts"

/** `create.start` → `snapshot.create.start`. */
export async function notifySnapshot(
  platform: Pick<Platform, "outbox">,
  tx: Tx,
  snapshot: Snapshot,
  event: string,
  actor: Actor,
): Promise<void> {
  await platform.outbox.append(tx, {
    type: `snapshot.${event}`,
    publisher: `snapshot.${snapshot.host}@${snapshot.backend}`,
    projectId: snapshot.projectId,
    userId: actor.userId,
    requestId: actor.requestId,
    resourceId: snapshot.id,
    payload: {
      tenant_id: snapshot.projectId,
      user_id: snapshot.userId,
      snapshot_id: snapshot.id,
      volume_id: snapshot.volumeId,
      volume_size: snapshot.sizeGib,
      display_name: snapshot.name,
      status: snapshot.status,
      created_at: snapshot.createdAt.toISOString(),
      metadata: snapshot.metadata,
    },
    priority: event.endsWith(".error") ? "ERROR" : "INFO",
  })
}
