// Shelving: the disk becomes an image, the machine and its room are given back; unshelving makes it again from
// that image wherever there is room. Id, addresses and ports stay.
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { discardImage } from "../../image/index.ts"
import { awaitPlugged, bindServerPorts, isNetworkAway } from "../../network/index.ts"
import { releaseAllocation } from "../../placement/index.ts"
import { callAgent, undoMachine } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { scheduleServer } from "../schedule/schedule.ts"
import { bringVolumes } from "./bring-volumes.ts"
import { copyTimeoutMs, type SnapshotStep, storeSnapshot, undoSnapshot } from "./create-image.saga.ts"
import { powerNumberOf, powerStates } from "./server.ts"
import { abandonTask, advanceTask, finishTaskIn, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface ShelveParams extends TaskParams {
  /** Null: its disk is a volume, and stays as it is. */
  imageId: string | null
  isStopped: boolean
}

const fenceOf = (s: StepContext<TaskParams, object>) => ({ generation: s.params.generation, fence: s.fence })
/** The same step, for what is done with its image. */
function withImage(s: StepContext<ShelveParams, object>, imageId: string): SnapshotStep {
  const params = { ...s.params, imageId }
  return Object.create(s, { params: { value: params } }) as SnapshotStep
}

const shelveEnd = { event: "shelve_offload", part: "compute_shelve_instance" }

/** The machine goes, its room with it; a host that the row no longer names has none. */
async function offload(s: StepContext<TaskParams, object>, host: string | null) {
  const { ctx, params } = s
  if (await isFinished(ctx, params)) return
  const server = await heldServer(ctx, params)
  const command = { serverId: params.serverId, fence: fenceOf(s) }
  if (host !== null) await callAgent(ctx, host, "vm.destroy", command, { signal: s.signal })
  await bindServerPorts(ctx, server, "")
  const changes = { powerState: powerStates.shutdown, host: null, availabilityZone: null }
  return withLog(async (tx) => {
    await releaseAllocation(tx, params.serverId)
    await finishTaskIn(tx, ctx, params, { vmState: "shelved_offloaded", ...changes }, shelveEnd)
  })
}

export const shelveServerSaga = saga<ShelveParams>("compute.server.shelve", 1)
  .step("snapshot", {
    do: async (s) => {
      const { ctx, params } = s
      const server = await heldServer(ctx, params)
      if (!server.host) throw serverNotReady(server.id)
      const graceMs = ctx.config.compute.stopGraceMs
      const stop = { serverId: server.id, graceMs, fence: fenceOf(s) }
      await callAgent(ctx, server.host, "vm.stop", stop, { signal: s.signal })
      const { imageId } = params
      if (imageId !== null) {
        const snapshot = { serverId: server.id, imageId, fence: fenceOf(s) }
        await callAgent(ctx, server.host, "vm.snapshot", snapshot, { signal: s.signal })
        await storeSnapshot(withImage(s, imageId))
      }
      return { host: server.host }
    },
    undo: async (s) => {
      const { imageId } = s.params
      if (imageId !== null) await undoSnapshot(withImage(s, imageId))
      // The image is whole, and the machine may be gone already: it is what is left of the disk.
      if ("snapshot" in s.out) return
      if (imageId !== null) await s.transact((tx) => discardImage(s.ctx, tx, imageId))
      const server = await heldServer(s.ctx, s.params).catch(() => null)
      if (!server?.host || s.params.isStopped) return
      const spec = await machineSpec(s.ctx, server, await bindServerPorts(s.ctx, server, server.host))
      await callAgent(s.ctx, server.host, "vm.ensure", { spec, power: "running", fence: fenceOf(s) })
    },
    timeoutMs: 2 * copyTimeoutMs,
  })
  .step("offload", {
    waits: true,
    do: (s) => offload(s, s.out.snapshot.host),
    timeoutMs: 180_000,
  })
  // Unshelving makes it again from the image, and so it does of a server that did not leave its host.
  .onUnwound((s) => {
    const isShelved = s.failure.step === "offload"
    return abandonTask(
      s,
      isShelved ? { vmState: "shelved", powerState: powerStates.shutdown } : {},
      shelveEnd,
    )
  })

export interface OffloadParams extends TaskParams {
  /** Where the machine may still be. */
  host: string | null
}

/** The second half of it, again. */
export const shelveOffloadSaga = saga<OffloadParams>("compute.server.shelve_offload", 1)
  .step("offload", {
    waits: true,
    do: (s) => offload(s, s.params.host),
    timeoutMs: 180_000,
  })
  .onUnwound((s) => abandonTask(s, {}, shelveEnd))

export interface UnshelveParams extends TaskParams {
  imageId: string | null
  forcedHost: string | null
}

const unshelveEnd = { event: "unshelve", part: "compute_unshelve_instance" }

export const unshelveServerSaga = saga<UnshelveParams>("compute.server.unshelve", 1)
  .step("schedule", {
    do: async (s) => {
      const { ctx, params } = s
      const server = await heldServer(ctx, params)
      if (server.host) return { host: server.host }
      return withLog(async (tx) => {
        const options = { forcedHost: params.forcedHost, excludedHosts: [] }
        const place = await scheduleServer(ctx, tx, server, options)
        await advanceTask(tx, params, { host: place.host, availabilityZone: place.zone })
        return { host: place.host }
      })
    },
    undo: ({ params }) => withLog((tx) => releaseAllocation(tx, params.serverId)),
  })
  .step("spawn", {
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const server = await heldServer(ctx, params)
      const { host } = s.out.schedule
      await bringVolumes(s, server, host)
      const vifs = await bindServerPorts(ctx, server, host)
      const spec = await machineSpec(ctx, server, vifs)
      const command = { spec, power: "running" as const, fence: fenceOf(s) }
      const state = await callAgent(ctx, host, "vm.ensure", command, { signal: s.signal })
      const ids = vifs.map(({ portId }) => portId)
      const how = { withinMs: ctx.config.compute.plugWaitMs, signal: s.signal }
      if (state.isPlugged) await awaitPlugged(ctx, ids, how)
      const powerState = powerNumberOf(state.power)
      const changes = { vmState: "active", powerState, isLaunchedNow: true, fault: null } as const
      return withLog(async (tx) => {
        await finishTaskIn(tx, ctx, params, changes, unshelveEnd)
        if (params.imageId !== null) await discardImage(ctx, tx, params.imageId)
      })
    },
    undo: async (s) => {
      const command = { serverId: s.params.serverId, fence: fenceOf(s) }
      await undoMachine(s.ctx, s.out.schedule?.host, command)
      const server = await heldServer(s.ctx, s.params).catch(() => null)
      if (server) await bindServerPorts(s.ctx, server, "")
    },
    waits: isNetworkAway,
    timeoutMs: 900_000,
  })
  .onUnwound((s) =>
    abandonTask(s, { vmState: "shelved_offloaded", host: null, availabilityZone: null }, unshelveEnd),
  )
