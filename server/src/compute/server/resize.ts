import { Type } from "typebox"
import type { Saga } from "../../engine/saga/saga.ts"
import { releaseAllocation } from "../../placement/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
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
import { checkHardware } from "../guest-hardware/hardware.ts"
import { insertMigration, setMigrationStatus } from "../migration/store.ts"
import { enforceGrowth } from "../quota/enforce.ts"
import { fitsWhereItIs } from "../schedule/schedule.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { checkVolumesReach, hasSettledVolumes } from "./bring-volumes.ts"
import { snapshotOf } from "./create.ts"
import { migrationConsumerOf } from "./delete.saga.ts"
import { keptImage } from "./image.ts"
import { leaveHostSaga, migrateServerSaga, revertMigrateSaga } from "./migrate.saga.ts"
import { notifyServer } from "./notification.ts"
import { targetOf, visibleServer } from "./read.ts"
import { type ResizeParams, resizeServerSaga, revertResizeSaga } from "./resize.saga.ts"
import { type FlavorSnapshot, isVolumeBacked, powerStates, type Server } from "./server.ts"
import { changeServer, type ServerChanges } from "./store.ts"
import { actorOf, beginTask, claimServer, type TaskParams } from "./task.ts"

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
  checkHardware(flavor, keptImage(server.systemMetadata))
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
    const common = {
      ...({ action: "resize", flavor } as const),
      changes: input.hasAutoDiskConfig === undefined ? {} : { hasAutoDiskConfig: input.hasAutoDiskConfig },
    }
    // Where it is, if there is room for both sizes.
    if (await fitsWhereItIs(ctx, server, flavor))
      await beginResize(ctx, server, { ...common, saga: resizeServerSaga, more: () => ({}) })
    else
      await beginResize(ctx, server, {
        ...{ ...common, saga: migrateServerSaga, more: () => ({ forcedHost: null }) },
      })
  },
})

interface BeginResize<P extends ResizeParams> {
  action: "resize" | "migrate"
  saga: Saga<P>
  /** Null: it keeps its own. */
  flavor: FlavorSnapshot | null
  changes?: ServerChanges
  more: () => Omit<P, keyof ResizeParams>
}

/** The server gets another size, another host, or both, and waits then to be confirmed or reverted. */
export async function beginResize<P extends ResizeParams>(
  ctx: Ctx,
  server: Server,
  { action, saga, flavor: wanted, changes = {}, more }: BeginResize<P>,
): Promise<void> {
  await beginTask(ctx, {
    serverId: server.id,
    ...{ action, saga, event: "resize.prep" },
    more: async (tx, claimed) => {
      const own = more()
      const isMove = "forcedHost" in own
      if (isMove && !(await hasSettledVolumes(tx, claimed))) throw serverNotReady(claimed.id)
      const flavor = wanted ?? claimed.flavor
      if (wanted) await enforceGrowth(ctx, tx, claimed, wanted)
      await changeServer(tx, claimed.id, claimed.generation, {
        ...changes,
        systemMetadata: { ...claimed.systemMetadata, old_vm_state: claimed.vmState },
        ...(wanted && { comingFlavor: wanted }),
      })
      await insertMigration(tx, {
        ...{ serverId: claimed.id, projectId: claimed.projectId, userId: ctx.caller.userId },
        generation: claimed.generation,
        type: wanted ? "resize" : "migration",
        sourceHost: claimed.host ?? "",
        // A move finds its own.
        destHost: isMove ? null : claimed.host,
        ...{ oldFlavorId: claimed.flavor.flavorId, newFlavorId: flavor.flavorId },
      })
      const isStopped = claimed.vmState === "stopped"
      // `more` is exactly what P has beyond ResizeParams.
      const params = { flavor, oldFlavor: claimed.flavor, isStopped, ...own }
      return params as unknown as Omit<P, keyof TaskParams>
    },
  })
}

/** The new size stays: only rows change, so it is done at once. What is on the host before goes after it. */
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
      const { id: serverId, generation, oldHost } = claimed
      if (oldHost === null || oldHost === claimed.host) return
      const params = { serverId, generation, ...actor, host: oldHost }
      await ctx.sagas.start(tx, leaveHostSaga, params, { requestId: ctx.requestId, resourceId: serverId })
    }),
})

export const revertResize = operation({
  name: "compute.server.revert_resize",
  input: Type.Object({ serverId: Type.String() }),
  faults: [badRequest, ...states],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  rule: "os_compute_api:servers:revert_resize",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    const isMoved = server.oldHost !== null && server.oldHost !== server.host
    await beginTask(ctx, {
      serverId: server.id,
      action: "revertResize",
      event: "resize.revert",
      saga: isMoved ? revertMigrateSaga : revertResizeSaga,
      more: async (tx, claimed) => {
        if (!claimed.oldFlavor) throw serverNotReady(claimed.id)
        if (isMoved && claimed.oldHost !== null) await checkWayBack(ctx, tx, claimed, claimed.oldHost)
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

/** Of a server that was moved: what it was given since must be able to come along. */
async function checkWayBack(ctx: Ctx, tx: Tx, server: Server, host: string): Promise<void> {
  try {
    await checkVolumesReach(ctx, tx, server, host)
  } catch (error) {
    if (error instanceof Fault && error.kind !== "unavailable")
      throw badRequest(`The server cannot go back to its host before: ${error.message}`)
    throw error
  }
}
