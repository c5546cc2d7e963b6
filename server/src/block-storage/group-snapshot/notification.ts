// Notifications in the words of oslo.messaging's group_snapshot.*.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"
import type { GroupSnapshot } from "./group-snapshot.ts"

/** `create.start` → `group_snapshot.create.start`. */
export async function notifyGroupSnapshot(
  platform: Pick<Platform, "outbox">,
  tx: Tx,
  snapshot: GroupSnapshot,
  event: string,
  actor: Actor,
): Promise<void> {
  await platform.outbox.append(tx, {
    type: `group_snapshot.${event}`,
    publisher: "group_snapshot",
    projectId: snapshot.projectId,
    userId: actor.userId,
    requestId: actor.requestId,
    resourceId: snapshot.id,
    payload: {
      tenant_id: snapshot.projectId,
      user_id: snapshot.userId,
      group_snapshot_id: snapshot.id,
      name: snapshot.name,
      group_id: snapshot.groupId,
      group_type: snapshot.groupTypeId,
      created_at: snapshot.createdAt.toISOString(),
      status: snapshot.status,
    },
    priority: event.endsWith(".error") ? "ERROR" : "INFO",
  })
}
