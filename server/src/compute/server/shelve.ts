import { Type } from "typebox"
import { createImageRecord } from "../../image/index.ts"
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
  serverTpmRefused,
} from "../faults.ts"
import { checkZone } from "../host/zone-request.ts"
import { snapshotProperties } from "./create-image.ts"
import { bootImage, imageFacts, keptImage } from "./image.ts"
import { targetOf, visibleServer } from "./read.ts"
import { isVolumeBacked } from "./server.ts"
import { shelveOffloadSaga, shelveServerSaga, unshelveServerSaga } from "./shelve.saga.ts"
import { changeServer } from "./store.ts"
import { beginTask, checkState } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]

/** Gives the host's room back and keeps the disk as an image. */
export const shelveServer = operation({
  name: "compute.server.shelve",
  input: Type.Object({ serverId: Type.String() }),
  faults: [quotaExceeded, serverTpmRefused, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-shelve:shelve",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await beginTask(ctx, {
      serverId: server.id,
      action: "shelve",
      event: "shelve",
      saga: shelveServerSaga,
      more: async (tx, claimed) => {
        const isStopped = claimed.vmState === "stopped"
        // Its disk is a volume, which stays.
        if (isVolumeBacked(claimed)) return { imageId: null, isStopped }
        const imageId = newUuid()
        const image = {
          id: imageId,
          projectId: claimed.projectId,
          name: `${claimed.name}-shelved`,
          diskFormat: "qcow2",
          minDiskGib: claimed.flavor.diskGib,
          minRamMib: keptImage(claimed.systemMetadata)?.minRamMib ?? 0,
          properties: snapshotProperties(claimed, {}),
        }
        await createImageRecord(ctx, image, tx)
        await changeServer(tx, claimed.id, claimed.generation, {
          systemMetadata: {
            ...claimed.systemMetadata,
            shelved_at: ctx.clock.now().toISOString(),
            shelved_image_id: imageId,
          },
        })
        return { imageId, isStopped }
      },
    })
  },
})

/** What is left of a server that was shelved and could not leave its host. */
export const shelveOffloadServer = operation({
  name: "compute.server.shelve_offload",
  input: Type.Object({ serverId: Type.String() }),
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:os-shelve:shelve_offload",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await beginTask(ctx, {
      serverId: server.id,
      action: "shelveOffload",
      event: "shelve_offload",
      saga: shelveOffloadSaga,
      more: (_tx, { host }) => ({ host }),
    })
  },
})

const nullableText = Type.Union([Type.String(), Type.Null()])

export const unshelveServer = operation({
  name: "compute.server.unshelve",
  input: Type.Object({
    serverId: Type.String(),
    /** null unpins the server; absent leaves the zone that it was made for. */
    availabilityZone: Type.Optional(nullableText),
    host: Type.Optional(nullableText),
  }),
  faults: [badRequest, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rules: ["os_compute_api:os-shelve:unshelve", "os_compute_api:os-shelve:unshelve_to_host"],
  authorize: (_ctx, input, server) => [
    ["os_compute_api:os-shelve:unshelve", targetOf(server)],
    ...(input.host ? [["os_compute_api:os-shelve:unshelve_to_host", targetOf(server)] as const] : []),
  ],
  run: async (ctx, input, server) => {
    checkState(ctx, server, "unshelve")
    await checkZone(ctx, { zone: input.availabilityZone ?? null, host: null }, input.host ?? null)
    const shelvedImageId = server.systemMetadata.shelved_image_id
    if (shelvedImageId === undefined && !isVolumeBacked(server)) throw serverNotReady(server.id)
    const image = shelvedImageId === undefined ? null : await bootImage(ctx, shelvedImageId)
    await beginTask(ctx, {
      serverId: server.id,
      action: "unshelve",
      event: "unshelve",
      saga: unshelveServerSaga,
      more: async (tx, claimed) => {
        await changeServer(tx, claimed.id, claimed.generation, {
          // The disk lies over the shelved image from now on, whatever image it began with.
          ...(image && { systemMetadata: { ...claimed.systemMetadata, ...imageFacts(image) } }),
          ...(input.availabilityZone !== undefined && { pinnedAvailabilityZone: input.availabilityZone }),
        })
        return { imageId: image?.id ?? null, forcedHost: input.host ?? null }
      },
    })
  },
})
