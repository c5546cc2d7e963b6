import { Type } from "typebox"
import { releaseAllocation } from "../../placement/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
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
import { findFlavor } from "../flavor/flavor.ts"
import { insertResize, setMigrationStatus } from "../migration/store.ts"
import { enforceGrowth } from "../quota/enforce.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { snapshotOf } from "./create.ts"
import { migrationConsumerOf } from "./delete.saga.ts"
import { notifyServer } from "./notification.ts"
import { targetOf, visibleServer } from "./read.ts"
import { resizeServerSaga, revertResizeSaga } from "./resize.saga.ts"
import { type FlavorSnapshot, isVolumeBacked, powerStates, type Server } from "./server.ts"
import { changeServer } from "./store.ts"
import { actorOf, beginTask, claimServer } from "./task.ts"

const states = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched, serverNotReady]

async function newFlavor(ctx: Ctx, flavorId: string, server: Server): Promise<FlavorSnapshot> {
  let flavor: FlavorSnapshot
  try {
    flavor = snapshotOf(await findFlavor(ctx, flavorId))
  } catch (error) {
    if (error instanceof Fault && error.kind === "not_found")
      throw badRequest(`Flavor ${flavorId} could not be found.`)
    throw error
  }
  if (flavor.flavorId === server.flavor.flavorId)
    throw badRequest("When resizing, instances must change flavor!")
  const isOnVolume = isVolumeBacked(server)
  if (!isOnVolume && flavor.diskGib === 0 && server.flavor.diskGib > 0)
    throw badRequest("Resize to zero disk flavor is not allowed.")
  const isRootSmaller = !isOnVolume && flavor.diskGib < server.flavor.diskGib
  if (isRootSmaller || flavor.ephemeralGib < server.flavor.ephemeralGib)
    throw badRequest(
      `Flavor ${flavorId} has a smaller disk than the server has now (${server.flavor.diskGib} GiB): disks cannot shrink.`,
    )
  return flavor
}

export const resizeServer = operation({
  name: "compute.server.resize",
  input: Type.Object({
    serverId: Type.String(),
    flavorId: Type.String(),
    hasAutoDiskConfig: Type.Optional(Type.Boolean()),
  }),
  faults: [badRequest, quotaExceeded, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:resize",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, input, server) => {
    const flavor = await newFlavor(ctx, input.flavorId, server)
    await beginTask(ctx, {
      serverId: server.id,
      action: "resize",
      event: "resize.prep",
      saga: resizeServerSaga,
      more: async (tx, claimed) => {
        await enforceGrowth(ctx, tx, claimed, flavor)
        const isStopped = claimed.vmState === "stopped"
        await changeServer(tx, claimed.id, claimed.generation, {
          systemMetadata: { ...claimed.systemMetadata, old_vm_state: claimed.vmState },
          comingFlavor: flavor,
          ...(input.hasAutoDiskConfig !== undefined && { hasAutoDiskConfig: input.hasAutoDiskConfig }),
        })
        await insertResize(tx, {
          serverId: claimed.id,
          projectId: claimed.projectId,
          userId: ctx.caller.userId,
          generation: claimed.generation,
          host: claimed.host ?? "",
          oldFlavorId: claimed.flavor.flavorId,
          newFlavorId: flavor.flavorId,
        })
        return { flavor, oldFlavor: claimed.flavor, isStopped }
      },
    })
  },
})

/** The new size stays: only rows change, so it is done at once. */
export const confirmResize = operation({
  name: "compute.server.confirm_resize",
  input: Type.Object({ serverId: Type.String() }),
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:confirm_resize",
  target: (_ctx, _input, server) => targetOf(server),
  run: (ctx, _input, server) =>
    transact(ctx.db, async (tx) => {
      const claimed = await claimServer(ctx, tx, server.id, "confirmResize")
      const actor = actorOf(ctx)
      await releaseAllocation(tx, migrationConsumerOf(server.id))
      await setMigrationStatus(tx, server.id, ["finished"], "confirmed")
      const changed = await changeServer(tx, server.id, claimed.generation, {
        vmState: claimed.powerState === powerStates.running ? "active" : "stopped",
        taskState: null,
        oldFlavor: null,
        oldHost: null,
      })
      await recordActions(tx, [{ serverId: server.id, action: "confirmResize", ...actor }])
      await endAction(tx, {
        serverId: server.id,
        requestId: ctx.requestId,
        event: "compute_confirm_resize",
        host: claimed.host,
        error: null,
      })
      if (changed) await notifyServer(ctx, tx, changed, "resize.confirm.end", actor)
    }),
})

export const revertResize = operation({
  name: "compute.server.revert_resize",
  input: Type.Object({ serverId: Type.String() }),
  faults: states,
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:revert_resize",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    await beginTask(ctx, {
      serverId: server.id,
      action: "revertResize",
      event: "resize.revert",
      saga: revertResizeSaga,
      more: async (tx, claimed) => {
        if (!claimed.oldFlavor) throw serverNotReady(claimed.id)
        await setMigrationStatus(tx, claimed.id, ["finished"], "reverting")
        return {
          flavor: claimed.flavor,
          oldFlavor: claimed.oldFlavor,
          isStopped: claimed.systemMetadata.old_vm_state === "stopped",
        }
      },
    })
  },
})
