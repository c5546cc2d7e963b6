// From a row to a running machine: a place, interfaces, the machine. What fails on one host is undone there and
// begun again on another one, a bounded number of times; after that the server is in error and says why.

import type { VifSpec } from "../../agent/protocol.ts"
import {
  type SagaFailure,
  type StepContext,
  type StepDefinition,
  saga,
  withLog,
} from "../../engine/saga/saga.ts"
import {
  awaitPlugged,
  isNetworkAway,
  listServerPorts,
  makeServerPorts,
  type PlannedServerPorts,
  planServerPorts,
  releaseServerPorts,
  settleNetwork,
} from "../../network/index.ts"
import { releaseAllocation } from "../../placement/index.ts"
import { allOrFirst } from "../../platform/clock/in-parallel.ts"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent, undoMachine } from "../agent-call.ts"
import { noValidHost } from "../faults.ts"
import { forgetFailedBuilds, noteFailedBuild } from "../host/store.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { scheduleServer } from "../schedule/schedule.ts"
import { askOldHosts, giveBackVolumes } from "./block-device.ts"
import { completeVolumes, connectVolumes, makeVolumes, volumesTimeoutMs } from "./create-volumes.ts"
import { notifyServer } from "./notification.ts"
import { powerNumberOf, type Server } from "./server.ts"
import { claimAgain, selectServer } from "./store.ts"
import {
  abandonTask,
  advanceTask,
  finishTask,
  finishTaskIn,
  heldServer,
  heldUnlessFinished,
  holdServer,
  type TaskParams,
} from "./task.ts"

export interface CreateParams extends TaskParams {
  forcedHost: string | null
  attempt: number
  excludedHosts: string[]
}

async function place(ctx: Ctx, tx: Tx, params: CreateParams): Promise<Place> {
  const server = await heldServer({ db: tx }, params)
  if (server.host) return { host: server.host }
  const { host, zone, hasFailedBuilds } = await scheduleServer(ctx, tx, server, params)
  await advanceTask(tx, params, { host, availabilityZone: zone, taskState: "spawning" })
  return { host, ...(hasFailedBuilds && { hasFailedBuilds }) }
}

interface Place {
  host: string
  /** A build that succeeds there is news. */
  hasFailedBuilds?: boolean
}

const noPorts: PlannedServerPorts = { interfaces: [], securityGroupIds: [] }

/** Earlier programs kept the request as it was asked; a creation that one of them has begun is understood here. */
async function plannedPorts(ctx: Ctx, server: Server): Promise<PlannedServerPorts> {
  const kept = server.requestedNetworks
  if (kept !== null && typeof kept === "object" && "interfaces" in kept) return kept
  // Ports that are there are bound; what was chosen for them is no longer asked.
  if ((await listServerPorts(ctx, server.id)).length > 0) return noPorts
  const securityGroups = kept === "none" ? [] : server.securityGroups
  return await planServerPorts(ctx, { projectId: server.projectId, networks: kept, securityGroups })
}

const end = { event: "create", part: "compute__do_build_and_run_instance" }

const failed = { vmState: "error", host: null, availabilityZone: null } as const

type Schedule = { schedule: Place }
type Ports = { ports: { vifs: VifSpec[] } }

const scheduleStep: StepDefinition<CreateParams, object, Place> = {
  do: ({ ctx, params }) => withLog((tx) => place(ctx, tx, params), { isFlushedLater: true }),
  undo: ({ params }) => withLog((tx) => releaseAllocation(tx, params.serverId)),
}

const portsStep: StepDefinition<CreateParams, Schedule, Ports["ports"]> = {
  do: (s) =>
    withLog(async (tx) => {
      // Until the end: a delete that came in between would have released what was there, and these would stay.
      const server = await holdServer(tx, s.params)
      const planned = await plannedPorts(s.ctx, server)
      const vifs = await makeServerPorts(s.ctx, tx, { server, host: s.out.schedule.host, planned })
      return { vifs }
    }),
  undo: (s) => releaseServerPorts(s.ctx, s.params.serverId),
}

/** `also`: what else is so when the machine runs. */
function spawnStep(
  also?: (ctx: Ctx, tx: Tx, params: CreateParams) => Promise<void>,
): StepDefinition<CreateParams, Schedule & Ports, void> {
  return {
    do: async (s) => {
      const { ctx, params } = s
      const { vifs } = s.out.ports
      const ensure = async () => {
        const server = await heldUnlessFinished(ctx, params)
        if (!server) return null
        const fence = { generation: params.generation, fence: s.fence }
        const command = { spec: await machineSpec(ctx, server, vifs), power: "running", fence } as const
        return await callAgent(ctx, s.out.schedule.host, "vm.ensure", command, { signal: s.signal })
      }
      // Neither waits for the other: a machine takes longer to look for its network than the engine to make it.
      const ids = vifs.map((vif) => vif.portId)
      const [made] = await allOrFirst(ensure(), settleNetwork(ctx, ids))
      if (!made) return
      const withinMs = ctx.config.compute.plugWaitMs
      if (made.isPlugged) await awaitPlugged(ctx, ids, { withinMs, signal: s.signal })
      const powerState = powerNumberOf(made.power)
      const changes = { vmState: "active", powerState, isLaunchedNow: true } as const
      const { host, hasFailedBuilds } = s.out.schedule
      if (!hasFailedBuilds && !also) return finishTask(ctx, params, changes, end)
      return withLog(async (tx) => {
        if (hasFailedBuilds) await forgetFailedBuilds(tx, host)
        await also?.(ctx, tx, params)
        await finishTaskIn(tx, ctx, params, changes, end)
      })
    },
    undo: async (s) => {
      const fence = { generation: s.params.generation, fence: s.fence }
      await undoMachine(s.ctx, s.out.schedule?.host, { serverId: s.params.serverId, fence })
    },
    // Without the network no host is better than this one.
    waits: isNetworkAway,
    timeoutMs: 900_000,
  }
}

export const createServerSaga = saga<CreateParams>("compute.server.create", 1)
  .step("schedule", scheduleStep)
  .step("ports", portsStep)
  .step("spawn", spawnStep())
  .onUnwound(async (s) => {
    if (mayTryElsewhere(s) && (await tryElsewhere(s))) return
    return abandonTask(withReason(s), failed, end, (tx) => countFailedBuild(tx, s))
  })

/** Its volumes lie on the host that was chosen: on no other one it would go better. */
export const createServerWithVolumesSaga = saga<CreateParams>("compute.server.create_with_volumes", 1)
  .step("schedule", scheduleStep)
  .step("volumes", {
    do: async (s) => {
      const { host } = s.out.schedule
      await makeVolumes(s, host)
      await askOldHosts(s.ctx, await heldServer(s.ctx, s.params), host, s.signal)
      return withLog((tx) => connectVolumes(s, tx, host))
    },
    // As long as a volume may be copied.
    timeoutMs: volumesTimeoutMs,
  })
  .step("ports", portsStep)
  .step("spawn", spawnStep(completeVolumes))
  .onUnwound((s) =>
    abandonTask(s, failed, end, async (tx) => {
      await countFailedBuild(tx, s)
      await giveBackVolumes(s.ctx, tx, { id: s.params.serverId, hasVolumes: true }, s.params)
    }),
  )

type Unwound = StepContext<CreateParams, object> & { failure: SagaFailure }

/** What the network refuses (no address left, a quota) it would refuse for any host. */
function mayTryElsewhere(s: Unwound): boolean {
  return (
    s.failure.step === "spawn" &&
    s.params.forcedHost === null &&
    s.params.attempt < s.ctx.config.compute.scheduleAttemptsMost
  )
}

async function tryElsewhere(s: Unwound): Promise<boolean> {
  const { ctx, params } = s
  return await s.transact(async (tx) => {
    const claimed = await claimAgain(tx, params.serverId, params.generation, "scheduling")
    if (!claimed) return false
    if (claimed.previousHost) await noteFailedBuild(tx, claimed.previousHost)
    const next: CreateParams = {
      ...params,
      generation: claimed.server.generation,
      attempt: params.attempt + 1,
      excludedHosts: claimed.previousHost
        ? [...params.excludedHosts, claimed.previousHost]
        : params.excludedHosts,
    }
    await notifyServer(ctx, tx, claimed.server, "create.retry", params, { message: s.failure.message })
    await ctx.sagas.start(tx, createServerSaga, next, {
      requestId: params.requestId,
      resourceId: params.serverId,
    })
    return true
  })
}

/** Of the last host that it was tried on; for those before it `tryElsewhere` has done so. */
async function countFailedBuild(tx: Tx, s: Unwound): Promise<void> {
  if (s.failure.step !== "spawn") return
  const server = await selectServer(tx, s.params.serverId)
  if (server?.generation === s.params.generation && server.host) await noteFailedBuild(tx, server.host)
}

/** Users know "No valid host was found"; the last host's own reason goes with it. */
function withReason(s: Unwound): Unwound {
  if (s.params.excludedHosts.length === 0 || s.failure.step === "ports") return s
  const reason = noValidHost(
    `Exhausted all hosts available for retrying build failures for instance ${s.params.serverId}.`,
  )
  return Object.assign(Object.create(s) as Unwound, { failure: { ...s.failure, message: reason.message } })
}
