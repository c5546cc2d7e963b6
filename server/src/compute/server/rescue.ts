import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  serverTpmRefused,
} from "../faults.ts"
import { AdminPassword, keepAdminPassword } from "./admin-password.ts"
import { bootImage, type KeptImage, keptImage } from "./image.ts"
import { targetOf, visibleServer } from "./read.ts"
import { rescueServerSaga, unrescueServerSaga } from "./rescue.saga.ts"
import { isVolumeBacked } from "./server.ts"
import { beginTask, checkState } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]

export const rescueServer = operation({
  name: "compute.server.rescue",
  input: Type.Object({
    serverId: Type.String(),
    /** null: the image that the server was made of. */
    imageId: Type.Union([Type.String(), Type.Null()]),
    adminPassword: Type.Optional(AdminPassword),
    /** The caller knows of servers that boot from volumes. */
    knowsVolumes: Type.Optional(Type.Boolean()),
  }),
  faults: [badRequest, serverTpmRefused, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-rescue",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    checkState(ctx, server, "rescue")
    const own = keptImage(server.systemMetadata)
    const imageId = input.imageId ?? server.imageId ?? own?.id
    const isOnVolume = isVolumeBacked(server)
    if (isOnVolume && !input.knowsVolumes) throw notBesideVolume()
    if (!imageId) throw badRequest("The server has no image to rescue it with: name one in rescue_image_ref.")
    // Also of the server's own one the data are read anew, so the caller must be one who may use it now.
    const image = await bootImage(ctx, imageId)
    const place = stablePlaceOf(image, own)
    // Only beside a disk that keeps its place the rescue disk is the one that is booted.
    if (isOnVolume && place === null) throw notBesideVolume()
    await beginTask(ctx, {
      serverId: server.id,
      action: "rescue",
      event: "rescue",
      saga: rescueServerSaga,
      more: async (tx) => {
        await keepAdminPassword(ctx, tx, [server.id], input.adminPassword)
        const { id, checksum, diskFormat } = image
        const sizeBytes = image.virtualSizeBytes ?? image.sizeBytes
        return { image: { id, checksum, diskFormat, sizeBytes, ...place } }
      },
    })
  },
})

const notBesideVolume = () =>
  badRequest(
    "Cannot rescue a volume-backed instance: that takes microversion 2.87, and an image with the property " +
      "hw_rescue_device or hw_rescue_bus in rescue_image_ref.",
  )

const rescueBuses = ["virtio", "scsi", "ide", "sata", "usb"]
const rescueDevices = ["disk", "cdrom"]

/**
 * Where the rescue disk goes when its image asks for a stable rescue, by `hw_rescue_device` or `hw_rescue_bus`, and as
 * what; null when it asks for none. What cannot be done is refused and not passed over.
 */
export function stablePlaceOf(
  image: Pick<KeptImage, "diskFormat" | "properties">,
  own: Pick<KeptImage, "properties"> | null,
): { stableBus: string; isCdrom: boolean } | null {
  const { hw_rescue_device: asked, hw_rescue_bus: bus } = image.properties
  if (asked === undefined && bus === undefined) return null
  const device = asked ?? (image.diskFormat === "iso" ? "cdrom" : "disk")
  if (!rescueDevices.includes(device))
    throw badRequest(
      `hw_rescue_device '${device}' is not supported; it is one of ${rescueDevices.join(", ")}.`,
    )
  const isCdrom = device === "cdrom"
  const stableBus = bus ?? (isCdrom ? "ide" : (own?.properties.hw_disk_bus ?? "virtio"))
  if (!rescueBuses.includes(stableBus))
    throw badRequest(`hw_rescue_bus '${stableBus}' is not supported; it is one of ${rescueBuses.join(", ")}.`)
  if (isCdrom && stableBus === "usb")
    throw badRequest("hw_rescue_bus 'usb' has no CDs; the hw_rescue_device on it is 'disk'.")
  return { stableBus, isCdrom }
}

export const unrescueServer = operation({
  name: "compute.server.unrescue",
  input: Type.Object({ serverId: Type.String() }),
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-unrescue",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await beginTask(ctx, {
      serverId: server.id,
      action: "unrescue",
      event: "unrescue",
      saga: unrescueServerSaga,
      more: () => ({ image: null }),
    })
  },
})
