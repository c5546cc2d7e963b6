// The same server on a fresh disk: the machine is destroyed and made again in its place, with its interfaces. One that
// boots from a volume keeps it as it is, or gets an image's data in it between the two.
import {
  abandonServerReimage,
  finishServerReimage,
  leaveServerReimage,
  type ReimageParams,
  writeImage,
  writeTimeoutMs,
} from "../../block-storage/index.ts"
import { type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { bindServerPorts } from "../../network/index.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { powerNumberOf } from "./server.ts"
import { abandonTask, finishTask, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface RebuildParams extends TaskParams {
  /** A stopped server stays stopped. */
  isStopped: boolean
}

export interface RebuildOnVolumeParams extends RebuildParams {
  reimage: ReimageParams
}

type Step = StepContext<RebuildParams, object>

const end = { event: "rebuild", part: "compute_rebuild_instance" }

async function destroyMachine(s: Step): Promise<void> {
  const server = await heldServer(s.ctx, s.params)
  if (!server.host) throw serverNotReady(server.id)
  // One generation below what follows: a tombstone lets only a higher one pass.
  const fence = { generation: s.params.generation - 1, fence: s.fence }
  await callAgent(s.ctx, server.host, "vm.destroy", { serverId: server.id, fence }, { signal: s.signal })
}

async function spawnMachine(s: Step) {
  const { ctx, params } = s
  if (await isFinished(ctx, params)) return
  const server = await heldServer(ctx, params)
  if (!server.host) throw serverNotReady(server.id)
  const spec = await machineSpec(ctx, server, await bindServerPorts(ctx, server, server.host))
  const fence = { generation: params.generation, fence: s.fence }
  const power = params.isStopped ? "shutdown" : "running"
  const state = await callAgent(ctx, server.host, "vm.ensure", { spec, power, fence }, { signal: s.signal })
  return finishTask(
    ctx,
    params,
    {
      vmState: params.isStopped ? "stopped" : "active",
      powerState: powerNumberOf(state.power),
      fault: null,
      isLaunchedNow: true,
    },
    end,
  )
}

const destroying = { do: destroyMachine, timeoutMs: 180_000 }
/** Its disk is gone already. */
const spawning = { waits: true as const, do: spawnMachine, timeoutMs: 900_000 }

export const rebuildServerSaga = saga<RebuildParams>("compute.server.rebuild", 1)
  .step("destroy", destroying)
  .step("spawn", spawning)
  .onUnwound((s) => abandonTask(s, { vmState: "error" }, end))

export const rebuildOnVolumeSaga = saga<RebuildOnVolumeParams>("compute.server.rebuild_on_volume", 1)
  .step("destroy", destroying)
  .step("write", {
    do: async (s) => {
      const { reimage } = s.params
      await writeImage(s, reimage)
      return withLog((tx) => finishServerReimage(s.ctx, tx, reimage))
    },
    timeoutMs: writeTimeoutMs,
  })
  .step("spawn", spawning)
  .onUnwound((s) => {
    const { ctx, failure, params } = s
    return abandonTask(s, { vmState: "error" }, end, async (tx) => {
      if (failure.step === "destroy") await leaveServerReimage(tx, params.reimage)
      if (failure.step === "write") await abandonServerReimage(ctx, tx, params.reimage, failure)
    })
  })
