import { Type } from "typebox"
import { createServerSnapshot, volumeInvalid, volumeNotFound } from "../../block-storage/index.ts"
import { createImageRecord } from "../../image/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { machineVolumes } from "./block-device.ts"
import { createImageSaga } from "./create-image.saga.ts"
import { createVolumeImageSaga } from "./create-volume-image.saga.ts"
import { keptImage } from "./image.ts"
import { mappingOf } from "./image-devices.ts"
import { targetOf, visibleServer } from "./read.ts"
import { isVolumeBacked, type Server } from "./server.ts"
import { beginTask } from "./task.ts"

/** Properties of the base image that a snapshot does not inherit. */
const notInherited = new Set(["cache_in_nova", "bittorrent"])

export function snapshotProperties(
  server: Server,
  own: Readonly<Record<string, string>>,
): Record<string, string> {
  const base = keptImage(server.systemMetadata)
  const inherited = Object.fromEntries(
    Object.entries(base?.properties ?? {}).filter(([key]) => !notInherited.has(key)),
  )
  return {
    ...inherited,
    image_type: "snapshot",
    instance_uuid: server.id,
    user_id: server.userId,
    owner_id: server.projectId,
    base_image_ref: server.imageId ?? "",
    image_location: "snapshot",
    image_state: "available",
    ...own,
  }
}

/** The image, before its data. */
export async function makeSnapshotRecord(
  ctx: Ctx,
  tx: Tx,
  server: Server,
  image: {
    id: string
    name: string
    properties: Readonly<Record<string, string>>
    diskFormat?: string
    minDiskGib?: number
  },
): Promise<void> {
  await createImageRecord(
    ctx,
    {
      id: image.id,
      projectId: server.projectId,
      name: image.name,
      diskFormat: image.diskFormat ?? "qcow2",
      containerFormat: "bare",
      minDiskGib: image.minDiskGib ?? server.flavor.diskGib,
      minRamMib: keptImage(server.systemMetadata)?.minRamMib ?? 0,
      properties: snapshotProperties(server, image.properties),
    },
    tx,
  )
}

/** An image of the root disk as it is now; the id is known at once, the data follow. */
export const createServerImage = operation({
  name: "compute.server.create_image",
  input: Type.Object({
    serverId: Type.String(),
    name: Type.String({ minLength: 1, maxLength: 255 }),
    metadata: Type.Record(Type.String(), Type.String()),
  }),
  faults: [
    badRequest,
    quotaExceeded,
    volumeInvalid,
    volumeNotFound,
    serverNotFound,
    serverLocked,
    serverInvalidState,
    serverNotLaunched,
    serverNotReady,
  ],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:create_image",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    if (isVolumeBacked(server)) return await createVolumeImage(ctx, input)
    const imageId = newUuid()
    await beginTask(ctx, {
      serverId: server.id,
      action: "createImage",
      event: "snapshot",
      saga: createImageSaga,
      more: async (tx, claimed) => {
        const { name, metadata: properties } = input
        await makeSnapshotRecord(ctx, tx, claimed, { id: imageId, name, properties })
        return { imageId }
      },
    })
    return { imageId }
  },
})

/** No data, but snapshots of its volumes. */
async function createVolumeImage(
  ctx: Ctx,
  {
    serverId,
    name,
    metadata,
  }: { serverId: string; name: string; metadata: Readonly<Record<string, string>> },
): Promise<{ imageId: string }> {
  const imageId = newUuid()
  await beginTask(ctx, {
    serverId,
    action: "createImage",
    event: "snapshot",
    saga: createVolumeImageSaga,
    more: async (tx, claimed) => {
      const { projectId, rootDeviceName } = claimed
      const taken = []
      for (const { device, volume } of await machineVolumes(tx, claimed)) {
        const { id: volumeId, description, sizeGib } = volume
        const asked = { volumeId, projectId, name: `snapshot for ${name}`.slice(0, 255), description }
        const { id: snapshotId } = await createServerSnapshot(ctx, tx, asked)
        taken.push({ device, snapshotId, sizeGib })
      }
      const rootDevice = rootDeviceName === null ? {} : { root_device_name: rootDeviceName }
      const properties = { ...metadata, ...rootDevice, ...mappingOf(taken) }
      const root = taken.find(({ device }) => device.bootIndex === 0)
      await makeSnapshotRecord(ctx, tx, claimed, {
        ...{ id: imageId, name, properties, diskFormat: "raw" },
        minDiskGib: root?.sizeGib ?? 0,
      })
      return { imageId, snapshotIds: taken.map(({ snapshotId }) => snapshotId) }
    },
  })
  return { imageId }
}
