// Another size on the same host; migrate.saga.ts takes a server to another one. The old size's room is kept under the
// migration's own id until the user confirms, so that a revert always finds it.
//
//   active ──claim──► old room under the migration, new room under the server ──restart──► resized
//   resized ──confirm──► old room released            resized ──revert──► new room released, old room back

import type { VmState as MachineState } from "../../agent/protocol.ts"
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { bindServerPorts } from "../../network/index.ts"
import {
  claimAllocation,
  getHeldAllocations,
  noCapacity,
  releaseAllocation,
  transferAllocation,
} from "../../placement/index.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { noValidHost, serverNotReady } from "../faults.ts"
import { selectHost } from "../host/store.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { isLastMigration, setMigrationStatus } from "../migration/store.ts"
import { resourcesOf } from "../schedule/request.ts"
import { migrationConsumerOf } from "./delete.saga.ts"
import { type FlavorSnapshot, powerNumberOf, type Server } from "./server.ts"
import { changeServer, lockRow, type ServerChanges } from "./store.ts"
import { abandonTask, advanceTask, finishTaskIn, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface ResizeParams extends TaskParams {
  flavor: FlavorSnapshot
  oldFlavor: FlavorSnapshot
  isStopped: boolean
}

export type ResizeStep = StepContext<ResizeParams, object>

const end = { event: "resize", part: "compute_prep_resize" }
const finishEnd = { event: "finish_resize", part: "compute_finish_resize" }
export const revertEnd = { event: "resize.revert", part: "compute_revert_resize" }

export const resizeServerSaga = saga<ResizeParams>("compute.server.resize", 1)
  .step("claim", {
    // With the log: made twice, it would keep the new size for the migration and give the old one away.
    do: ({ params }) =>
      withLog(async (tx) => {
        const server = await heldServer({ db: tx }, params)
        await keepRoom(tx, server)
        await claimOnHost(tx, server, params.flavor)
        await advanceTask(tx, params, {
          flavor: params.flavor,
          oldFlavor: params.oldFlavor,
          oldHost: server.host,
          taskState: "resize_migrating",
        })
      }),
    undo: ({ params }) => withLog((tx) => giveBackOldSize(tx, params)),
  })
  .step("restart", {
    do: async (s) => {
      if (await isFinished(s.ctx, s.params)) return
      const server = await heldServer(s.ctx, s.params)
      const state = await restart(s, server)
      const changes = { vmState: "resized", powerState: powerNumberOf(state.power), fault: null } as const
      return withLog(async (tx) => {
        await setMigrationStatus(tx, server.id, ["migrating"], "finished", s.params.generation)
        await finishTaskIn(tx, s.ctx, s.params, changes, finishEnd)
      })
    },
    undo: async (s) => {
      const server = await heldServer(s.ctx, s.params).catch(() => null)
      if (server) await restart(s, { ...server, flavor: s.params.oldFlavor })
    },
    timeoutMs: 900_000,
  })
  .onUnwound((s) =>
    abandonTask(s, {}, end, (tx) =>
      setMigrationStatus(tx, s.params.serverId, ["migrating", "finished"], "error", s.params.generation),
    ),
  )

export const revertResizeSaga = saga<ResizeParams>("compute.server.revert_resize", 1)
  .step("restart", {
    do: async (s) => {
      if (await isFinished(s.ctx, s.params)) return
      const server = await heldServer(s.ctx, s.params)
      const state = await restart(s, { ...server, flavor: s.params.oldFlavor })
      const vmState = s.params.isStopped ? "stopped" : "active"
      const powerState = powerNumberOf(state.power)
      const changes = { vmState, powerState, fault: null } as const
      return withLog(async (tx) => {
        await giveBackOldSize(tx, s.params)
        await setMigrationStatus(tx, server.id, ["reverting"], "reverted")
        await finishTaskIn(tx, s.ctx, s.params, changes, revertEnd)
      })
    },
    waits: true,
    timeoutMs: 900_000,
  })
  .onUnwound((s) =>
    abandonTask(s, { vmState: "error" }, revertEnd, (tx) =>
      setMigrationStatus(tx, s.params.serverId, ["reverting", "reverted"], "error"),
    ),
  )

async function claimOnHost(tx: Tx, server: Server, flavor: FlavorSnapshot): Promise<void> {
  const host = server.host === null ? undefined : await selectHost(tx, server.host)
  if (!host) throw serverNotReady(server.id)
  try {
    await claimAllocation(tx, {
      consumerId: server.id,
      projectId: server.projectId,
      userId: server.userId,
      candidates: [host.id],
      resources: resourcesOf(server, flavor),
    })
  } catch (error) {
    if (noCapacity.is(error)) throw noValidHost(`There are not enough hosts available. ${error.message}`)
    throw error
  }
}

/** What it has stays its own, under the migration; what it gets is claimed after that. Not repeatable. */
export async function keepRoom(tx: Tx, { id, host: hostName }: Pick<Server, "id" | "host">): Promise<void> {
  await lockRow(tx, id)
  const host = hostName === null ? undefined : await selectHost(tx, hostName)
  const has = async (consumerId: string) =>
    (await getHeldAllocations(tx, consumerId)).some(({ hostId }) => hostId === host?.id)
  const consumerId = migrationConsumerOf(id)
  // A move before this one has not come to its end: what it would have given back is kept, and where it went is not.
  if (!(await has(id)) && (await has(consumerId))) await releaseAllocation(tx, id)
  else await transferAllocation(tx, { fromConsumerId: id, toConsumerId: consumerId })
}

/** Repeatable: once the old room is back under the server, nothing is left to move. */
export async function giveBackOldSize(
  tx: Tx,
  params: ResizeParams,
  /** Where it was before, when it was moved. */
  place: Pick<ServerChanges, "host" | "availabilityZone"> = {},
): Promise<void> {
  const changed = await changeServer(tx, params.serverId, params.generation, {
    ...place,
    flavor: params.oldFlavor,
    oldFlavor: null,
    oldHost: null,
  })
  if (!changed) return
  await giveBackRoom(tx, params.serverId)
}

/** Of a task that was given up, and may have been for long: nothing when another move has begun since. Repeatable. */
export async function giveBackRoomOf(tx: Tx, { serverId, generation }: TaskParams): Promise<void> {
  await lockRow(tx, serverId)
  if (await isLastMigration(tx, serverId, generation)) await giveBackRoom(tx, serverId)
}

/** The same when it has nothing to go back to. */
export async function forgetOldRoomOf(tx: Tx, { serverId, generation }: TaskParams): Promise<void> {
  await lockRow(tx, serverId)
  if (await isLastMigration(tx, serverId, generation))
    await releaseAllocation(tx, migrationConsumerOf(serverId))
}

/** Repeatable: once the old room is back under the server, nothing is left to move. */
async function giveBackRoom(tx: Tx, serverId: string): Promise<void> {
  const old = await getHeldAllocations(tx, migrationConsumerOf(serverId))
  if (old.length === 0) return
  await releaseAllocation(tx, serverId)
  await transferAllocation(tx, { fromConsumerId: migrationConsumerOf(serverId), toConsumerId: serverId })
}

export async function restart(s: ResizeStep, server: Server): Promise<MachineState> {
  if (!server.host) throw serverNotReady(server.id)
  const { ctx, params } = s
  const fence = { generation: params.generation, fence: s.fence }
  const graceMs = ctx.config.compute.stopGraceMs
  await callAgent(ctx, server.host, "vm.stop", { serverId: server.id, graceMs, fence }, { signal: s.signal })
  const spec = await machineSpec(ctx, server, await bindServerPorts(ctx, server, server.host))
  const power = params.isStopped ? "shutdown" : "running"
  return await callAgent(ctx, server.host, "vm.ensure", { spec, power, fence }, { signal: s.signal })
}
