// Notifications in the words of oslo.messaging's compute.instance.*; telemetry and audit read them.
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { instanceNameOf, type Server } from "./server.ts"

export interface Actor {
  requestId: string
  userId: string
  projectId: string | null
}

function payloadOf(server: Server): Record<string, unknown> {
  const { flavor } = server
  return {
    tenant_id: server.projectId,
    user_id: server.userId,
    instance_id: server.id,
    display_name: server.name,
    reservation_id: server.reservationId,
    hostname: server.hostname,
    instance_type: flavor.name,
    instance_flavor_id: flavor.flavorId,
    memory_mb: flavor.ramMib,
    vcpus: flavor.vcpus,
    root_gb: flavor.diskGib,
    ephemeral_gb: flavor.ephemeralGib,
    disk_gb: flavor.diskGib + flavor.ephemeralGib,
    host: server.host ?? "",
    node: server.host ?? "",
    availability_zone: server.availabilityZone ?? "",
    created_at: server.createdAt.toISOString(),
    launched_at: server.launchedAt?.toISOString() ?? "",
    terminated_at: server.terminatedAt?.toISOString() ?? "",
    deleted_at: server.deletedAt?.toISOString() ?? "",
    image_meta: { base_image_ref: server.imageId ?? "" },
    kernel_id: server.kernelId ?? "",
    ramdisk_id: server.ramdiskId ?? "",
    state: server.vmState,
    state_description: server.taskState ?? "",
    progress: server.progress,
    access_ip_v4: server.accessIpV4,
    access_ip_v6: server.accessIpV6,
    metadata: server.metadata,
    instance_name: instanceNameOf(server),
  }
}

/** `notifyServer(…, "create.start")` → `compute.instance.create.start`. */
export async function notifyServer(
  platform: Platform,
  tx: Tx,
  server: Server,
  event: string,
  actor: Actor,
  extra: Record<string, unknown> = {},
): Promise<void> {
  await notifyServers(platform, tx, [server], event, actor, extra)
}

/** The same of many at once. */
export async function notifyServers(
  platform: Platform,
  tx: Tx,
  servers: readonly Server[],
  event: string,
  actor: Actor,
  extra: Record<string, unknown> = {},
): Promise<void> {
  await platform.outbox.appendMany(
    tx,
    servers.map((server) => ({
      type: `compute.instance.${event}`,
      publisher: server.host ? `compute.${server.host}` : "compute",
      projectId: server.projectId,
      userId: actor.userId,
      requestId: actor.requestId,
      resourceId: server.id,
      payload: { ...payloadOf(server), ...extra },
      priority: event.endsWith(".error") ? "ERROR" : "INFO",
    })),
  )
}
