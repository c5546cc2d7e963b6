// Rescue: the machine starts from another disk, its own beside it, so that somebody can repair it.
import { type StepContext, saga } from "../../engine/saga/saga.ts"
import { bindServerPorts } from "../../network/index.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { powerNumberOf, type Server } from "./server.ts"
import { abandonTask, finishTask, heldServer, isFinished, type TaskParams } from "./task.ts"
import { type RescueImage, rescueSpecOf } from "./vm-spec.ts"

export interface RescueParams extends TaskParams {
  /** null: back to its own disk. */
  image: RescueImage | null
}

/** Off, and on again with these disks. */
async function restart(s: StepContext<RescueParams, object>, server: Server, image: RescueImage | null) {
  if (!server.host) throw serverNotReady(server.id)
  const fence = { generation: s.params.generation, fence: s.fence }
  const graceMs = s.ctx.config.compute.stopGraceMs
  const stop = { serverId: server.id, graceMs, fence }
  await callAgent(s.ctx, server.host, "vm.stop", stop, { signal: s.signal })
  const own = await machineSpec(s.ctx, server, await bindServerPorts(s.ctx, server, server.host))
  const spec = image ? rescueSpecOf(own, image) : own
  const command = { spec, power: "running" as const, fence }
  return await callAgent(s.ctx, server.host, "vm.ensure", command, { signal: s.signal })
}

const rescueEnd = { event: "rescue", part: "compute_rescue_instance" }
const unrescueEnd = { event: "unrescue", part: "compute_unrescue_instance" }

export const rescueServerSaga = saga<RescueParams>("compute.server.rescue", 1)
  .step("restart", {
    do: async (s) => {
      if (await isFinished(s.ctx, s.params)) return
      const server = await heldServer(s.ctx, s.params)
      const state = await restart(s, server, s.params.image)
      const changes = { vmState: "rescued" as const, powerState: powerNumberOf(state.power), fault: null }
      return finishTask(s.ctx, s.params, changes, rescueEnd)
    },
    timeoutMs: 900_000,
  })
  .onUnwound((s) => abandonTask(s, { vmState: "error" }, rescueEnd))

export const unrescueServerSaga = saga<RescueParams>("compute.server.unrescue", 1)
  .step("restart", {
    do: async (s) => {
      if (await isFinished(s.ctx, s.params)) return
      const server = await heldServer(s.ctx, s.params)
      const state = await restart(s, server, null)
      const changes = { vmState: "active" as const, powerState: powerNumberOf(state.power), fault: null }
      return finishTask(s.ctx, s.params, changes, unrescueEnd)
    },
    timeoutMs: 900_000,
  })
  .onUnwound((s) => abandonTask(s, { vmState: "error" }, unrescueEnd))
