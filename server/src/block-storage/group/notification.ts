// Notifications in the words of oslo.messaging's group.*.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Actor } from "../volume/notification.ts"
import type { Group } from "./group.ts"

/** `create.start` → `group.create.start`. */
export async function notifyGroup(
  platform: Pick<Platform, "outbox">,
  tx: Tx,
  group: Group,
  event: string,
  actor: Actor,
): Promise<void> {
  await platform.outbox.append(tx, {
    type: `group.${event}`,
    publisher: group.host ? `group.${group.host}@${group.backend}` : "group",
    projectId: group.projectId,
    userId: actor.userId,
    requestId: actor.requestId,
    resourceId: group.id,
    payload: {
      tenant_id: group.projectId,
      user_id: group.userId,
      availability_zone: group.availabilityZone,
      group_id: group.id,
      group_type: group.groupTypeId,
      name: group.name,
      created_at: group.createdAt.toISOString(),
      status: group.status,
    },
    priority: event.endsWith(".error") ? "ERROR" : "INFO",
  })
}
