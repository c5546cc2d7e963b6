// A server leaves a host that is down: its machine is made anew on another one, as a rebuild does it, and its volumes
// follow where both hosts reach them. Nobody asks the host before for its word, so the rows must be right without it:
//
//   claim      room on the new host; the old one's under the migration
//   silence    if the host before can be told after all, its guest is off
//   switch     only while the host before is down: the server and its volumes are the new host's
//   spawn      the machine there
//
// From the switch on the host before starts nothing of it (host/start-rights.ts) and is told to end what still runs when
// it is back (host/machines.plan.ts). A failure goes back to where it was, unless the new host does not answer for its
// machine: then the server stays there, in error, and may be evacuated from it.
import { volumeElsewhere } from "../../block-storage/index.ts"
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { awaitPlugged, bindServerPorts, isNetworkAway } from "../../network/index.ts"
import { releaseAllocation } from "../../placement/index.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import { callAgent, clearMachine, undoMachine } from "../agent-call.ts"
import { evacuatedHostBack, serverNotReady, serverSuperseded } from "../faults.ts"
import { isHostReachable, isHostReachableHeld } from "../host/reachable.ts"
import { selectHost } from "../host/store.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { type MigrationStatus, openEvacuationStatuses } from "../migration/migration.ts"
import { setMigrationDestination, setMigrationStatus, sourceOfMigration } from "../migration/store.ts"
import { scheduleServer } from "../schedule/schedule.ts"
import { bringLostVolumes, hasSettledVolumes, returnLostVolumes, takeVolumes } from "./bring-volumes.ts"
import { migrationConsumerOf } from "./delete.saga.ts"
import { forgetOldRoomOf, giveBackRoomOf, keepRoom } from "./resize.saga.ts"
import { powerNumberOf } from "./server.ts"
import { selectServer } from "./store.ts"
import {
  abandonTask,
  advanceTask,
  finishTaskIn,
  heldOrNull,
  heldServer,
  isFinished,
  type TaskParams,
} from "./task.ts"

export interface EvacuateParams extends TaskParams {
  /** Null: any. */
  requestedHost: string | null
  /** The requested one is not looked at as the scheduler does. */
  isForced: boolean
  /** Whether it is off there. */
  isStopped: boolean
}

type Step = StepContext<EvacuateParams, object>

const end = { event: "rebuild", part: "compute_rebuild_instance" }

const fenceOf = ({ params, fence }: Step) => ({ generation: params.generation, fence })

interface Claimed {
  from: string
  to: string
  zone: string
  zoneBefore: string | null
}

export const evacuateServerSaga = saga<EvacuateParams>("compute.server.evacuate", 1)
  .step("claim", {
    do: ({ ctx, params }) =>
      withLog(async (tx) => {
        const server = await heldServer({ db: tx }, params)
        const { host: from, availabilityZone: zoneBefore } = server
        if (from === null || !(await hasSettledVolumes(tx, server))) throw serverNotReady(server.id)
        if (await isHostReachable(ctx, from)) throw evacuatedHostBack()
        await keepRoom(tx, server)
        const { isForced, requestedHost } = params
        const { host: to, zone } = await scheduleServer(ctx, tx, server, {
          ...(isForced
            ? { forcedHost: requestedHost, requestedHost: null }
            : { forcedHost: null, requestedHost }),
          ...{ excludedHosts: [from], lostHost: from },
        })
        await setMigrationDestination(tx, server.id, to)
        await setMigrationStatus(tx, server.id, ["accepted"], "pre-migrating", params.generation)
        return { from, to, zone, zoneBefore } satisfies Claimed
      }),
    undo: ({ params }) =>
      withLog(async (tx) => {
        const { serverId, generation } = params
        const from = await sourceOfMigration(tx, serverId, generation)
        const server = await selectServer(tx, serverId)
        // It stays on the new host, or a later task has it there.
        if (server && server.host !== from) await forgetOldRoomOf(tx, params)
        else await giveBackRoomOf(tx, params)
      }),
  })
  .step("silence", {
    do: async (s) => {
      const { from } = s.out.claim
      const server = await heldServer(s.ctx, s.params)
      if (await isHostReachable(s.ctx, from)) throw evacuatedHostBack()
      try {
        const command = { serverId: server.id, graceMs: 0, fence: fenceOf(s) }
        await callAgent(s.ctx, from, "vm.stop", command, { signal: s.signal, timeoutMs: silenceTimeoutMs })
        await takeVolumes(s, server, from, silenceTimeoutMs)
      } catch (error) {
        if (s.signal.aborted || !(error instanceof Fault)) throw error
        s.log.info(
          { serverId: server.id, from, why: describeError(error) },
          "a host that is down was not told",
        )
      }
    },
  })
  .step("switch", {
    do: ({ ctx, params, out }) =>
      withLog(async (tx) => {
        const { from, to, zone } = out.claim
        const server = await heldServer({ db: tx }, params)
        // What it is told of its machines it is told after this, or before it: then it is up.
        if (await isHostReachableHeld(ctx, tx, from)) throw evacuatedHostBack()
        await bringLostVolumes(ctx, tx, server, { from, to })
        // Of a move before this one nothing waits any more, on whatever host.
        const noOther = { oldHost: null, oldFlavor: null }
        await advanceTask(tx, params, { host: to, availabilityZone: zone, ...noOther })
      }),
    undo: async (s) => {
      const { claim } = s.out
      const server = claim && (await heldOrNull(s.ctx, s.params))
      if (!claim || !server) return
      if (server.host === claim.to) {
        if (!(await isGoneAt(s, claim.to))) return
        await goBack(s, claim)
      }
      const now = await heldOrNull(s.ctx, s.params)
      if (now?.host === claim.from) await bindServerPorts(s.ctx, now, claim.from)
    },
  })
  .step("spawn", {
    do: async (s) => {
      const { ctx, params, signal } = s
      if (await isFinished(ctx, params)) return
      const { to } = s.out.claim
      const server = await heldServer(ctx, params)
      // What an earlier stay of the server has left there.
      await clearMachine(ctx, to, params, signal)
      const vifs = await bindServerPorts(ctx, server, to)
      const spec = await machineSpec(ctx, server, vifs)
      const power = params.isStopped ? "shutdown" : "running"
      const state = await callAgent(ctx, to, "vm.ensure", { spec, power, fence: fenceOf(s) }, { signal })
      const how = { withinMs: ctx.config.compute.plugWaitMs, signal }
      const portIds = vifs.map(({ portId }) => portId)
      if (state.isPlugged && !params.isStopped) await awaitPlugged(ctx, portIds, how)
      return withLog(async (tx) => {
        await releaseAllocation(tx, migrationConsumerOf(server.id))
        await setMigrationStatus(tx, server.id, openEvacuationStatuses, "done", params.generation)
        const vmState = params.isStopped ? "stopped" : "active"
        const powerState = powerNumberOf(state.power)
        await finishTaskIn(tx, ctx, params, { vmState, powerState, fault: null, isLaunchedNow: true }, end)
      })
    },
    undo: (s) => undoMachine(s.ctx, s.out.claim?.to, { serverId: s.params.serverId, fence: fenceOf(s) }),
    waits: isNetworkAway,
    timeoutMs: 900_000,
  })
  .onUnwound((s) => {
    const { serverId, generation } = s.params
    // Nothing was done to a server whose host is back.
    const changes = s.failure.code === evacuatedHostBack.code ? {} : ({ vmState: "error" } as const)
    return abandonTask(s, changes, end, async (tx) => {
      const { step, code } = s.failure
      // As in Nova: one that found no new host, or the one before up again, against one that failed there.
      const status: MigrationStatus = step === "claim" || code === evacuatedHostBack.code ? "error" : "failed"
      await setMigrationStatus(tx, serverId, [...openEvacuationStatuses, "done"], status, generation)
    })
  })

/** Somebody who is down does not answer; one that hangs is not waited for. */
const silenceTimeoutMs = 5_000

/** False when the new host does not answer for it: its machine may run. */
async function isGoneAt(s: Step, host: string): Promise<boolean> {
  if (!(await isHostReachable(s.ctx, host))) return false
  const command = { serverId: s.params.serverId, fence: fenceOf(s) }
  await callAgent(s.ctx, host, "vm.destroy", command, { signal: s.signal })
  return true
}

/** The rows say what they said before, unless the host of before, or its storage, is none any more. */
async function goBack(s: Step, { from, to, zoneBefore }: Claimed): Promise<void> {
  try {
    await s.transact(async (tx) => {
      const server = await heldServer({ db: tx }, s.params)
      if (!(await selectHost(tx, from))) return
      await returnLostVolumes(tx, server, { from, to })
      await advanceTask(tx, s.params, { host: from, availabilityZone: zoneBefore })
    })
  } catch (error) {
    if (!volumeElsewhere.is(error) && !serverSuperseded.is(error)) throw error
  }
}
