import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import {
  badRequest,
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { targetOf, visibleServer } from "./find.ts"
import { bootImage, keptImage } from "./image.ts"
import { rescueServerSaga, unrescueServerSaga } from "./rescue.saga.ts"
import { beginTask, checkState } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]

export const rescueServer = operation({
  name: "compute.server.rescue",
  input: Type.Object({
    serverId: Type.String(),
    /** null: the image that the server was made of. */
    imageId: Type.Union([Type.String(), Type.Null()]),
  }),
  faults: [badRequest, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-rescue", targetOf(server)]],
  run: async (ctx, input, server) => {
    checkState(ctx, server, "rescue")
    const own = keptImage(server.systemMetadata)
    const chosen = input.imageId === null ? null : await bootImage(ctx, input.imageId)
    const image = chosen
      ? {
          id: chosen.id,
          checksum: chosen.checksum,
          diskFormat: chosen.diskFormat,
          sizeBytes: chosen.virtualSizeBytes ?? chosen.sizeBytes,
        }
      : own
    if (!image) throw badRequest("The server has no image to rescue it with: name one in rescue_image_ref.")
    await beginTask(ctx, {
      serverId: server.id,
      action: "rescue",
      event: "rescue",
      saga: rescueServerSaga,
      more: () => ({
        image: {
          id: image.id,
          checksum: image.checksum,
          diskFormat: image.diskFormat,
          sizeBytes: image.sizeBytes,
        },
      }),
    })
  },
})

export const unrescueServer = operation({
  name: "compute.server.unrescue",
  input: Type.Object({ serverId: Type.String() }),
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, _input, server) => [["os_compute_api:os-unrescue", targetOf(server)]],
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
