import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
} from "../faults.ts"
import { type MigrationStatus, openEvacuationStatuses, openLiveStatuses } from "../migration/migration.ts"
import { destinationOf, setMigrationStatus } from "../migration/store.ts"
import { enforceReturn } from "../quota/enforce.ts"
import { deleteServerSaga } from "./delete.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import type { Server, VmState } from "./server.ts"
import { restoreServerSaga, softDeleteServerSaga } from "./soft-delete.saga.ts"
import { actionRules } from "./state.ts"
import { beginTask, checkState } from "./task.ts"

const input = Type.Object({ serverId: Type.String() })
const faults = [serverNotFound, serverLocked, serverInvalidState, serverNotLaunched]

const openStatuses: readonly MigrationStatus[] = ["migrating", ...openLiveStatuses, ...openEvacuationStatuses]

/** Removes the server and all that it has; in any state, also while another task runs. */
export async function beginDelete(ctx: Ctx, serverId: string): Promise<void> {
  await beginTask(ctx, {
    serverId,
    action: "delete",
    event: "delete",
    saga: deleteServerSaga,
    more: async (tx, { id, host, oldHost }) => {
      // In the middle of a move there may be a machine on the other host, too.
      const to = await destinationOf(tx, id)
      await setMigrationStatus(tx, id, openStatuses, "error")
      return { hosts: [...new Set([host, oldHost, to].filter((each) => each !== null))] }
    },
  })
}

/** Switches it off, and keeps it with all that it has. */
async function beginSoftDelete(ctx: Ctx, serverId: string): Promise<void> {
  await beginTask(ctx, {
    serverId,
    action: "softDelete",
    event: "soft_delete",
    saga: softDeleteServerSaga,
    more: () => ({}),
  })
}

/** Of what never ran, or is on no host, there is nothing to keep. */
function canBeKept({ vmState, launchedAt, host }: Server): boolean {
  const states: readonly VmState[] = actionRules.softDelete.vmStates
  return states.includes(vmState) && launchedAt !== null && host !== null
}

/** Somebody is at it already; asking again is no error. */
const isGoing = ({ vmState, taskState }: Server) =>
  taskState === "deleting" || taskState === "soft-deleting" || vmState === "soft-delete"

export const deleteServer = operation({
  name: "compute.server.delete",
  input,
  faults: [...faults, serverNotReady],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:servers:delete",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    const isKept = ctx.config.compute.reclaimIntervalMs > 0
    if (server.taskState === "deleting" || (isKept && isGoing(server))) return
    if (isKept && canBeKept(server)) await beginSoftDelete(ctx, server.id)
    else await beginDelete(ctx, server.id)
  },
})

/** At once, whatever is kept for a while otherwise. */
export const forceDeleteServer = operation({
  name: "compute.server.force_delete",
  input,
  faults,
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-deferred-delete:force",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    if (server.taskState !== "deleting") await beginDelete(ctx, server.id)
  },
})

/** One that was switched off to be deleted. */
export const restoreServer = operation({
  name: "compute.server.restore",
  input,
  faults: [...faults, serverNotReady, quotaExceeded],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-deferred-delete:restore",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    checkState(ctx, server, "restore")
    await beginTask(ctx, {
      serverId: server.id,
      action: "restore",
      event: "restore",
      saga: restoreServerSaga,
      more: async (tx, claimed) => {
        // From now on it counts again.
        await enforceReturn(ctx, tx, claimed)
        return {}
      },
    })
  },
})
