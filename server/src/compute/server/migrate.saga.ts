// A server goes to another host while it is off: its disks are copied, its ports and volumes follow. What it had on
// the host before is kept until the user confirms, so that a revert always finds it.
//
//   claim      room on the new host; the old one's under the migration
//   stop       the machine is off, and stays so on the old host, without its volumes
//   place      the same machine on the new host, with disks that have nothing of its own yet
//   copy       what is on its disks
//   start      the server is where its disks are now
import { relay } from "../../engine/relay.ts"
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { awaitPlugged, bindServerPorts, isNetworkAway } from "../../network/index.ts"
import { callAgent, undoMachine } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { zoneOf } from "../host/host.ts"
import { selectHost } from "../host/store.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { setMigrationDestination, setMigrationStatus } from "../migration/store.ts"
import { scheduleServer } from "../schedule/schedule.ts"
import { bringVolumes, checkVolumesReach, hasSettledVolumes, takeVolumes } from "./bring-volumes.ts"
import { giveBackOldSize, keepRoom, type ResizeParams, restart, revertEnd } from "./resize.saga.ts"
import { powerNumberOf, type Server } from "./server.ts"
import {
  abandonTask,
  advanceTask,
  finishTaskIn,
  heldOrNull,
  heldServer,
  isFinished,
  type TaskParams,
} from "./task.ts"
import { hasTpm } from "./tpm.ts"
import { diskDevicesOf } from "./vm-spec.ts"

export interface MigrateParams extends ResizeParams {
  forcedHost: string | null
}

type Step = StepContext<MigrateParams, object>

const end = { event: "resize", part: "compute_prep_resize" }
const finishEnd = { event: "finish_resize", part: "compute_finish_resize" }

const fenceOf = ({ params, fence }: Step) => ({ generation: params.generation, fence })

export const migrateServerSaga = saga<MigrateParams>("compute.server.migrate", 1)
  .step("claim", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const server = await heldServer({ db: tx }, params)
        const { host: from } = server
        if (from === null || !(await hasSettledVolumes(tx, server))) throw serverNotReady(server.id)
        await keepRoom(tx, server)
        const { flavor, oldFlavor, forcedHost } = params
        const { host: to, zone } = await scheduleServer(ctx, tx, server, {
          ...{ flavor, forcedHost: null, requestedHost: forcedHost, excludedHosts: [from] },
        })
        await setMigrationDestination(tx, server.id, to)
        await advanceTask(tx, params, { flavor, oldFlavor, oldHost: from, taskState: "resize_migrating" })
        return { from, to, zone }
      }),
    undo: ({ params }) => withLog((tx) => giveBackOldSize(tx, params)),
  })
  .step("stop", {
    do: async (s) => {
      const server = await heldServer(s.ctx, s.params)
      const graceMs = s.ctx.config.compute.stopGraceMs
      const command = { serverId: server.id, graceMs, fence: fenceOf(s) }
      const { from } = s.out.claim
      await callAgent(s.ctx, from, "vm.stop", command, { signal: s.signal })
      await takeVolumes(s, server, from)
    },
    undo: async (s) => {
      const server = await heldOrNull(s.ctx, s.params)
      const from = s.out.claim?.from
      if (!server || from === undefined) return
      await bringVolumes(s, server, from)
      await ensureAt(s, { ...server, flavor: s.params.oldFlavor }, from, wantedPower(s))
    },
    timeoutMs: 900_000,
  })
  .step("place", {
    do: async (s) => {
      const server = await heldServer(s.ctx, s.params)
      await bringVolumes(s, server, s.out.claim.to)
      // As large as the disks that come; they grow at the start.
      await ensureAt(s, { ...server, flavor: s.params.oldFlavor }, s.out.claim.to, "shutdown")
    },
    undo: (s) => undoMachine(s.ctx, s.out.claim?.to, { serverId: s.params.serverId, fence: fenceOf(s) }),
    waits: isNetworkAway,
    timeoutMs: 900_000,
  })
  .step("copy", {
    do: async (s) => {
      const server = await heldServer(s.ctx, s.params)
      const old = { ...server, flavor: s.params.oldFlavor }
      for (const { name } of diskDevicesOf(old)) await copyDisk(s, name, s.out.claim)
      if (hasTpm(old)) await copyDisk(s, "tpm", s.out.claim)
    },
    timeoutMs: 4 * 3_600_000,
  })
  .step("start", {
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const { to, from, zone } = s.out.claim
      const { state, portIds } = await ensureAt(s, await heldServer(ctx, params), to, wantedPower(s))
      const how = { withinMs: ctx.config.compute.plugWaitMs, signal: s.signal }
      if (state.isPlugged && !params.isStopped) await awaitPlugged(ctx, portIds, how)
      return withLog(async (tx) => {
        await setMigrationStatus(tx, params.serverId, ["migrating"], "finished", params.generation)
        await finishTaskIn(
          tx,
          ctx,
          params,
          {
            ...{ vmState: "resized", powerState: powerNumberOf(state.power), fault: null },
            ...{ host: to, oldHost: from, availabilityZone: zone },
          },
          finishEnd,
        )
      })
    },
    waits: isNetworkAway,
    timeoutMs: 900_000,
  })
  .onUnwound((s) =>
    abandonTask(s, {}, end, (tx) =>
      setMigrationStatus(tx, s.params.serverId, ["migrating", "finished"], "error", s.params.generation),
    ),
  )

function wantedPower({ params }: Step): "shutdown" | "running" {
  return params.isStopped ? "shutdown" : "running"
}

async function ensureAt(s: Step, server: Server, host: string, power: "shutdown" | "running") {
  const vifs = await bindServerPorts(s.ctx, server, host)
  const spec = await machineSpec(s.ctx, server, vifs)
  const command = { spec, power, fence: fenceOf(s) }
  const state = await callAgent(s.ctx, host, "vm.ensure", command, { signal: s.signal })
  return { state, portIds: vifs.map(({ portId }) => portId) }
}

/** Repeatable: the disk is written anew. */
async function copyDisk(s: Step, disk: string, { from, to }: { from: string; to: string }): Promise<void> {
  const { ctx, params, signal } = s
  const common = { serverId: params.serverId, disk, fence: fenceOf(s) }
  const timeoutMs = ctx.config.compute.agentCopyTimeoutMs
  await relay(
    ctx,
    { from, to, timeoutMs, signal, names: ["disk"] },
    {
      send: ({ disk: streamId = "" }, until) =>
        callAgent(ctx, from, "vm.send_disk", { ...common, streamId }, { signal: until }),
      receive: ({ disk: streamId = "" }, until) =>
        callAgent(ctx, to, "vm.receive_disk", { ...common, streamId }, { signal: until }),
    },
  )
}

/**
 * What it has done on the new host is given up, and it starts where it was before. The rows say so before it starts: if
 * that fails, the server is in error where its disks are.
 */
export const revertMigrateSaga = saga<ResizeParams>("compute.server.revert_migrate", 1)
  .step("leave", {
    do: async (s) => {
      const { ctx, params, fence, signal } = s
      const server = await heldServer(ctx, params)
      const { id: serverId, host, oldHost } = server
      if (host === null || oldHost === null || oldHost === host) return
      const before = await selectHost(ctx.db, oldHost)
      if (!before) throw serverNotReady(serverId)
      await s.transact((tx) => checkVolumesReach(ctx, tx, server, oldHost))
      const command = { serverId, fence: { generation: params.generation, fence } }
      await callAgent(ctx, host, "vm.destroy", command, { signal })
      await bringVolumes(s, server, oldHost)
      const place = { host: oldHost, availabilityZone: zoneOf(ctx, before) }
      return withLog((tx) => giveBackOldSize(tx, params, place))
    },
    waits: true,
    timeoutMs: 900_000,
  })
  .step("restart", {
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const state = await restart(s, await heldServer(ctx, params))
      const vmState = params.isStopped ? "stopped" : "active"
      const changes = { vmState, powerState: powerNumberOf(state.power), fault: null } as const
      return withLog(async (tx) => {
        await setMigrationStatus(tx, params.serverId, ["reverting"], "reverted")
        await finishTaskIn(tx, ctx, params, changes, revertEnd)
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

export interface LeaveHostParams extends TaskParams {
  host: string
}

/**
 * What the server had on the host before is removed there. Nobody waits for it: when the host is away, the reconciler
 * of machines does it once it is back.
 */
export const leaveHostSaga = saga<LeaveHostParams>("compute.server.leave_host", 1).step("destroy", {
  do: async ({ ctx, params, fence }) => {
    const { serverId, generation, host } = params
    await undoMachine(ctx, host, { serverId, fence: { generation, fence } })
  },
  timeoutMs: 180_000,
})
