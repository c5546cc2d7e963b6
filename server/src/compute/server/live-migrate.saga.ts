// A server goes to another host while it runs. When its guest is whole in both places it is halted in both; then the
// rows say where it is, and only after that somebody lets it go on, there and nowhere else. Before the rows have
// changed it goes on where it was, whatever became of the other host; afterwards there is no way back, and none is
// needed.
//
//   claim      room on the new host; the old one's under the migration; the volumes are on their way
//   copy       its disks, its memory; it stands still at the end
//   switch     the server and its volumes are the new host's: `arrive` takes over in the same transaction
//
//   start      the guest goes on, with its ports
//   leave      nothing of it is left on the old host
import type { AgentCommands, DiskSpec, MachineLayout, VmSpec, VmState } from "../../agent/protocol.ts"
import { endFollowing, type Following } from "../../block-storage/index.ts"
import { relay } from "../../engine/relay.ts"
import { NotYet, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { awaitPlugged, bindServerPorts } from "../../network/index.ts"
import { releaseAllocation } from "../../placement/index.ts"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { callAgent, clearMachine, undoMachine, unlessOvertaken } from "../agent-call.ts"
import { hostDown, serverNotReady, serverSuperseded } from "../faults.ts"
import { isHostReachable } from "../host/reachable.ts"
import { selectHost } from "../host/store.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { liveMigrationCancelled } from "../migration/faults.ts"
import { openLiveStatuses } from "../migration/migration.ts"
import { setMigrationDestination, setMigrationStatus } from "../migration/store.ts"
import { takeTurnToLeave } from "../migration/turn.ts"
import { scheduleServer } from "../schedule/schedule.ts"
import { arriveVolumes, beginVolumesFollow, hasSettledVolumes } from "./bring-volumes.ts"
import { migrationConsumerOf } from "./delete.saga.ts"
import { forgetOldRoomOf, giveBackRoomOf, keepRoom } from "./resize.saga.ts"
import { powerNumberOf, type Server } from "./server.ts"
import { selectServer } from "./store.ts"
import { abandonTask, advanceTask, finishTaskIn, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface LiveMigrateParams extends TaskParams {
  /** Null: any. */
  requestedHost: string | null
  isPaused: boolean
}

/** For disks of any size to get there; the memory has a bound of its own. */
const carryTimeoutMs = 24 * 3_600_000

type Step = StepContext<LiveMigrateParams, object>

const end = { event: "live_migration", part: "compute_live_migration" }
const arriveEnd = { event: "live.migration.post", part: "compute_post_live_migration_at_destination" }

/** Above what the first of the two has sent, and below the next task of the server. */
const arrivalOf = ({ params, fence }: StepContext<TaskParams, object>) => ({
  generation: params.generation + 1,
  fence,
})
const fenceOf = ({ params, fence }: StepContext<TaskParams, object>) => ({
  generation: params.generation,
  fence,
})
const powerOf = ({ isPaused }: Pick<LiveMigrateParams, "isPaused">) =>
  isPaused ? ("paused" as const) : ("running" as const)

export const liveMigrateSaga = saga<LiveMigrateParams>("compute.server.live_migrate", 1)
  .step("claim", {
    do: async (s) => {
      const { ctx, params } = s
      const { host } = await heldServer(ctx, params)
      await untilItsTurn(s, host)
      return withLog(async (tx) => {
        const server = await heldServer({ db: tx }, params)
        const { host: from } = server
        const before = from === null ? undefined : await selectHost(tx, from)
        const isSettled = await hasSettledVolumes(tx, server)
        if (from === null || !before || !isSettled) throw serverNotReady(server.id)
        await keepRoom(tx, server)
        const { host: to, zone } = await scheduleServer(ctx, tx, server, {
          ...{ forcedHost: null, requestedHost: params.requestedHost },
          ...{ excludedHosts: [from], runsOn: before.description },
        })
        await setMigrationDestination(tx, server.id, to)
        const volumes = await beginVolumesFollow(ctx, tx, server, to)
        return { from, to, zone, epoch: ctx.epoch.number, volumes }
      })
    },
    undo: ({ params }) =>
      withLog(async (tx) => {
        await giveBackRoomOf(tx, params)
        await endFollowing(tx, params)
      }),
  })
  .step("copy", {
    do: async (s) => {
      if (isOfThePast(s, s.out.claim)) throw serverSuperseded(s.params.serverId)
      const server = await heldServer(s.ctx, s.params)
      const { from, to, volumes = [] } = s.out.claim
      const fence = fenceOf(s)
      const command = { serverId: server.id, fence, power: powerOf(s.params) }
      // What an earlier migration has left there, or a server that was elsewhere then.
      await clearMachine(s.ctx, to, s.params, s.signal)
      // Of a try before this one it may be halted.
      await callAgent(s.ctx, from, "vm.stay", command, { signal: s.signal })
      const { streams, ...layout } = await callAgent(
        s.ctx,
        from,
        "vm.layout",
        { serverId: server.id },
        { signal: s.signal },
      )
      return await carry(s, server, { from, to, layout, streams, volumes })
    },
    undo: async (s) => {
      const claimed = s.out.claim
      if (!claimed || isOfThePast(s, claimed)) return
      const { from, to } = claimed
      const leave = () => undoMachine(s.ctx, to, { serverId: s.params.serverId, fence: fenceOf(s) })
      // First: whatever it has on the other host does not run, as nobody has said that it may.
      const isBack = await stay(s, from).then(
        () => true,
        // A host that lets it go on by itself has its volumes, too.
        (error: unknown) => mustHaveOther(error),
      )
      await leave()
      if (!isBack) await stay(s, from)
    },
    timeoutMs: carryTimeoutMs,
  })
  .step("switch", {
    do: ({ ctx, params, out }) =>
      withLog(async (tx) => {
        const { from, to, zone, volumes = [] } = out.claim
        const server = await advanceTask(tx, params, { host: to, oldHost: from, availabilityZone: zone })
        await arriveVolumes(tx, server, volumes)
        const next = { ...params, from, to, isPlugged: out.copy.isPlugged }
        const about = { requestId: params.requestId, resourceId: params.serverId }
        await ctx.sagas.start(tx, arriveSaga, next, about)
      }),
  })
  .onUnwound((s) =>
    abandonTask(s, {}, end, async (tx) => {
      const { serverId, generation } = s.params
      const status = s.failure.code === "agent.machine.live_aborted" ? "cancelled" : "error"
      await setMigrationStatus(tx, serverId, openLiveStatuses, status, generation)
      s.ctx.sagas.wakeAfter(tx)
    }),
  )

export interface ArriveParams extends LiveMigrateParams {
  from: string
  to: string
  /** Its interfaces are in the switch there, and the network's engine tells when they are up. */
  isPlugged: boolean
}

/** Goes before others, however many copies are on their way: its guest stands still. */
export const arriveSaga = saga<ArriveParams>("compute.server.arrive", 1, { goesFirst: true })
  .step("start", {
    do: async (s) => {
      const { ctx, params, signal } = s
      if (await isFinished(ctx, params)) return
      const server = await heldServer(ctx, params)
      const command = { serverId: server.id, fence: arrivalOf(s) }
      // Whichever is first: a guest without a network waits for packets, as it has since it was halted.
      const [state, vifs] = await allOrFirst(letBe(s, command), bindServerPorts(ctx, server, params.to))
      const how = { withinMs: ctx.config.compute.plugWaitMs, signal }
      const portIds = vifs.map(({ portId }) => portId)
      if (params.isPlugged) await awaitPlugged(ctx, portIds, how)
      return withLog(async (tx) => {
        await releaseAllocation(tx, migrationConsumerOf(server.id))
        await endFollowing(tx, params)
        await setMigrationStatus(tx, server.id, openLiveStatuses, "completed", params.generation)
        const changes = { powerState: powerNumberOf(state.power), fault: null, oldHost: null }
        await finishTaskIn(tx, ctx, params, changes, arriveEnd)
        ctx.sagas.wakeAfter(tx)
      })
    },
    waits: true,
    timeoutMs: 900_000,
  })
  .step("leave", {
    do: async (s) => {
      const { serverId, from, generation } = s.params
      // As the reconciler of machines says it: what fails here it does.
      await undoMachine(s.ctx, from, { serverId, fence: { generation: generation + 1, fence: 0 } })
    },
    timeoutMs: 180_000,
  })
  .onUnwound((s) => {
    // What is left on the old host the reconciler of machines removes once that is back.
    if (s.failure.step === "leave") return
    const { serverId, generation } = s.params
    // What is halted on the old host is the same as what is here, and goes with the reconciler of machines.
    return abandonTask(s, { vmState: "error", oldHost: null }, arriveEnd, async (tx) => {
      await forgetOldRoomOf(tx, s.params)
      await endFollowing(tx, s.params)
      await setMigrationStatus(tx, serverId, openLiveStatuses, "error", generation)
      s.ctx.sagas.wakeAfter(tx)
    })
  })

/** When nobody says that one before it has ended. */
const lookAgainMs = 30_000

/** It is `running` then. Throws `NotYet` while it waits. */
async function untilItsTurn(s: Step, host: string | null): Promise<void> {
  const { serverId, generation } = s.params
  const { atOncePerHost } = s.ctx.config.compute.liveMigration
  const leaving = { host: host ?? "", serverId, generation }
  const turn = await s.transact((tx) => takeTurnToLeave(tx, leaving, atOncePerHost))
  if (turn === "over") throw liveMigrationCancelled(serverId)
  if (turn === "waits") throw new NotYet(lookAgainMs)
}

/** As it was before. One that is paused has its disks from then on; or has it ended? Then nobody wants it to begin. */
async function letBe(
  { ctx, params, signal }: StepContext<ArriveParams, object>,
  command: AgentCommands["vm.pause"]["args"],
): Promise<VmState> {
  const { isPaused, to } = params
  if (!isPaused) return await callAgent(ctx, to, "vm.unpause", command, { signal })
  try {
    return await callAgent(ctx, to, "vm.pause", command, { signal })
  } catch (error) {
    if (!(error instanceof Fault && error.code === "agent.machine.wrong_state")) throw error
    return await callAgent(ctx, to, "vm.inspect", command, { signal })
  }
}

interface Carried {
  from: string
  to: string
  layout: MachineLayout
  streams: readonly string[]
  volumes: readonly Following[]
}

/** Repeatable: it is received anew. */
async function carry(
  s: Step,
  server: Server,
  { from, to, layout, streams, volumes }: Carried,
): Promise<AgentCommands["vm.send_live"]["result"] & { isPlugged: boolean }> {
  const { ctx, signal } = s
  const { agentCopyTimeoutMs: timeoutMs, liveMigration } = ctx.config.compute
  // Bound to where it is: packets come there until it goes on elsewhere.
  const vifs = await bindServerPorts(ctx, server, from)
  const spec = withBackends(await machineSpec(ctx, server, vifs), volumes)
  const { downtimeMs, bytesPerSecondMost, memoryTimeoutMs } = liveMigration
  const fence = fenceOf(s)
  const how = {
    ...{ downtimeMs, timeoutMs: memoryTimeoutMs, fence },
    ...(bytesPerSecondMost > 0 ? { mostBytesPerSecond: bytesPerSecondMost } : {}),
  }
  // The host is not believed.
  const own = spec.disks.filter(({ source }) => source.kind !== "volume")
  const known = ["memory", "config-drive", ...own.map(({ name }) => name)]
  const stranger = streams.find((name) => !known.includes(name))
  if (stranger !== undefined)
    throw new Error(`host ${from} wants to send ${stranger}, which the server has not`)
  const within = (until: AbortSignal) => ({ signal: until, timeoutMs: carryTimeoutMs })
  const [figures, arrived] = await relay(
    ctx,
    { from, to, timeoutMs, signal, names: streams },
    {
      send: (streamIds, until) =>
        callAgent(ctx, from, "vm.send_live", { serverId: server.id, streamIds, ...how }, within(until)),
      receive: (streamIds, until) =>
        callAgent(ctx, to, "vm.receive_live", { spec, layout, streamIds, fence }, within(until)),
    },
  )
  s.log.info({ serverId: server.id, from, to, ...figures }, "a guest was sent to another host")
  return { ...figures, isPlugged: arrived.isPlugged ?? false }
}

/** As the other host calls what its volumes lie in. Throws when it has others than those that are on their way. */
function withBackends(spec: VmSpec, volumes: readonly Following[]): VmSpec {
  const disks = spec.disks.map((disk): DiskSpec => {
    const { source } = disk
    if (source.kind !== "volume") return disk
    const following = volumes.find(({ volumeId }) => volumeId === source.volumeId)
    if (!following) throw serverNotReady(spec.serverId)
    return { ...disk, source: { ...source, backend: following.backend } }
  })
  return { ...spec, disks }
}

/**
 * From a backup that was restored. Where the guest is by now is not known: it may run on the other host, and must not
 * go on here as well. The reconciler of machines and operators see to what is found.
 */
function isOfThePast({ ctx }: Pick<Step, "ctx">, { epoch }: { epoch: number }): boolean {
  return ctx.epoch.number !== epoch
}

/**
 * The guest goes on where it was, also when the server's state was reset meanwhile. Where somebody newer has the
 * machine, or it is gone, that is nobody's business here; and so it is when the server has gone on elsewhere since,
 * which takes it from a host that is down, and goes on from there (evacuate.saga.ts).
 */
async function stay(s: Step, host: string): Promise<void> {
  const { serverId } = s.params
  const server = await selectServer(s.ctx.db, serverId)
  if (server?.host !== host) return
  if (!(await isHostReachable(s.ctx, host))) throw hostDown()
  const command = { serverId, fence: fenceOf(s), power: powerOf(s.params) }
  await unlessOvertaken(callAgent(s.ctx, host, "vm.stay", command, { signal: s.signal }))
}

/** False: another machine has its disks. */
function mustHaveOther(error: unknown): false {
  if (error instanceof Fault && error.code === "agent.machine.disks_taken") return false
  throw error
}
