// A volume more or less for a machine that is there. It is reserved with the request; here the machine gets it, or what
// came of it is taken away again. A task that takes the server meanwhile makes its machine with what is attaching and
// without what is detaching, so whoever comes last to the host brings the same.
import {
  askWhetherFree,
  completeVolume,
  connectVolume,
  handOver,
  keepVolume,
} from "../../block-storage/index.ts"
import { type SagaFailure, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { callAgent } from "../agent-call.ts"
import { serverSuperseded } from "../faults.ts"
import { endAction } from "../server-action/store.ts"
import {
  type AttachedDevice,
  type BlockDevice,
  changeDevice,
  giveBackVolume,
  lockDevice,
  machineVolumes,
  plainActor,
} from "./block-device.ts"
import { selectServer } from "./store.ts"
import { type Command, commandInNewTurn, commandInTurn, type HostTaskParams } from "./turn.ts"
import { volumeDisk } from "./vm-spec.ts"

export interface VolumeParams extends HostTaskParams {
  volumeId: string
}

type Step = StepContext<VolumeParams, object>

const attachPart = "compute_attach_volume"
const detachPart = "compute_detach_volume"

async function endPart(tx: Tx, params: VolumeParams, event: string, failure: SagaFailure | null) {
  const { serverId, requestId, host } = params
  await endAction(tx, { serverId, requestId, event, host, error: failure?.message ?? null })
}

/** Whoever deletes the server has given it back meanwhile: then somebody else may have the volume. */
async function heldDevice(tx: Tx, params: VolumeParams): Promise<AttachedDevice> {
  const device = await lockDevice(tx, params)
  if (!device) throw serverSuperseded(params.serverId)
  return device
}

async function setState(tx: Tx, params: VolumeParams, state: BlockDevice["state"]): Promise<void> {
  const device = await heldDevice(tx, params)
  await changeDevice(tx, device.id, { state })
}

async function complete(s: Step, tx: Tx): Promise<void> {
  await setState(tx, s.params, "attached")
  await completeVolume(s.ctx, tx, s.params, plainActor(s.params))
}

async function plugging(s: Step): Promise<Command> {
  const { serverId, host, volumeId } = s.params
  const server = await selectServer(s.ctx.db, serverId)
  const volumes = server ? await machineVolumes(s.ctx.db, server) : []
  const found = volumes.find(({ volume }) => volume.id === volumeId)
  if (!found) throw serverSuperseded(serverId)
  const disk = volumeDisk(found)
  const how = { signal: s.signal }
  return (fence) => callAgent(s.ctx, host, "vm.plug_volume", { serverId, disk, fence }, how)
}

function unplugging(s: Step): Command {
  const { serverId, host, volumeId } = s.params
  const how = { signal: s.signal }
  return (fence) => callAgent(s.ctx, host, "vm.unplug_volume", { serverId, volumeId, fence }, how)
}

/** The machine has it not, also when the command that was to give it came through unheard. */
async function takeAway(s: Step): Promise<void> {
  const isThere = await s.transact(async (tx) => {
    const device = await lockDevice(tx, s.params)
    if (device) await changeDevice(tx, device.id, { state: "detaching" })
    return device !== undefined
  })
  if (!isThere) return
  try {
    await commandInNewTurn(s, unplugging(s))
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    // The machine is gone or elsewhere, and has no volume here.
    if (hasNoMachine.has(error.code)) return
    if (error.code !== "agent.machine.guest_keeps_device") throw error
    // The guest has it and keeps it: that is what is told.
    await s.transact((tx) => complete(s, tx))
  }
}
const hasNoMachine: ReadonlySet<string> = new Set(["agent.machine.not_found", "compute.server.superseded"])

/** The machine has it again, when it had let go of it already. What cannot be done now is done at its next start. */
async function bringBack(s: Step): Promise<void> {
  const isThere = await s.transact(async (tx) => {
    const device = await lockDevice(tx, s.params)
    if (device) await changeDevice(tx, device.id, { state: "attached" })
    return device !== undefined
  })
  if (!isThere) return
  try {
    await commandInNewTurn(s, await plugging(s))
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === "unavailable") throw error
    s.log.warn({ ...s.params, why: error.message }, "a volume could not be given back to its machine")
  }
}

export const attachVolumeSaga = saga<VolumeParams>("compute.server.attach_volume", 1)
  .step("connect", {
    do: async (s) => {
      const { host, volumeId } = s.params
      await askWhetherFree(s.ctx, volumeId, host, s.signal)
      return withLog(async (tx) => {
        await heldDevice(tx, s.params)
        await handOver(s.ctx, tx, volumeId, host)
        await connectVolume(tx, s.params)
      })
    },
  })
  .step("plug", {
    do: async (s) => {
      await commandInTurn(s, await plugging(s))
      return withLog(async (tx) => {
        await complete(s, tx)
        await endPart(tx, s.params, attachPart, null)
      })
    },
    undo: takeAway,
    timeoutMs: 600_000,
  })
  .onUnwound((s) =>
    withLog(async (tx) => {
      const device = await lockDevice(tx, s.params)
      if (device && device.state !== "attached") await giveBackVolume(s.ctx, tx, device, s.params)
      await endPart(tx, s.params, attachPart, s.failure)
    }),
  )

export const detachVolumeSaga = saga<VolumeParams>("compute.server.detach_volume", 1)
  .step("unplug", {
    do: async (s) => await commandInTurn(s, unplugging(s)),
    undo: bringBack,
    timeoutMs: 600_000,
  })
  .step("release", {
    do: (s) =>
      withLog(async (tx) => {
        const device = await lockDevice(tx, s.params)
        if (device) await giveBackVolume(s.ctx, tx, device, s.params)
        await endPart(tx, s.params, detachPart, null)
      }),
  })
  .onUnwound((s) =>
    withLog(async (tx) => {
      const device = await lockDevice(tx, s.params)
      if (device) await keepVolume(tx, s.params)
      await endPart(tx, s.params, detachPart, s.failure)
    }),
  )
