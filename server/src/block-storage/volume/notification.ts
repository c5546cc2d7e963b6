// Notifications in the words of oslo.messaging's volume.*; telemetry and audit read them.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Volume } from "./volume.ts"

export interface Actor {
  requestId: string
  userId: string
  projectId: string | null
}

/** `notifyVolume(…, "create.start")` → `volume.create.start`. */
export async function notifyVolume(
  platform: Pick<Platform, "outbox">,
  tx: Tx,
  volume: Volume,
  event: string,
  actor: Actor,
  extra: Record<string, unknown> = {},
): Promise<void> {
  await platform.outbox.append(tx, {
    type: `volume.${event}`,
    publisher: volume.host ? `volume.${volume.host}@${volume.backend}` : "volume",
    projectId: volume.projectId,
    userId: actor.userId,
    requestId: actor.requestId,
    resourceId: volume.id,
    payload: {
      tenant_id: volume.projectId,
      user_id: volume.userId,
      volume_id: volume.id,
      display_name: volume.name,
      volume_type: volume.volumeTypeId,
      size: volume.sizeGib,
      status: volume.status,
      availability_zone: volume.availabilityZone,
      created_at: volume.createdAt.toISOString(),
      snapshot_id: volume.snapshotId,
      metadata: volume.metadata,
      ...extra,
    },
    priority: event.endsWith(".error") ? "ERROR" : "INFO",
  })
}
