// A server that is deleted and kept for a while is switched off; nothing that it has is given back, so that it can be
// restored as it was. What it was doing is over.
import { saga } from "../../engine/saga/saga.ts"
import { bindServerPorts } from "../../network/index.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { powerNumberOf } from "./server.ts"
import { abandonTask, finishTask, heldServer, isFinished, type TaskParams } from "./task.ts"

const deleteEnd = { event: "soft_delete", part: "compute_soft_delete_instance" }
const restoreEnd = { event: "restore", part: "compute_restore_instance" }

export const softDeleteServerSaga = saga<TaskParams>("compute.server.soft_delete", 1)
  .step("stop", {
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const { id: serverId, host } = await heldServer(ctx, params)
      if (host === null) throw serverNotReady(serverId)
      const fence = { generation: params.generation, fence: s.fence }
      const command = { serverId, graceMs: ctx.config.compute.stopGraceMs, fence }
      const state = await callAgent(ctx, host, "vm.stop", command, { signal: s.signal })
      const powerState = powerNumberOf(state.power)
      const changes = { vmState: "soft-delete", powerState, isSoftDeletedNow: true } as const
      return finishTask(ctx, params, changes, deleteEnd)
    },
    timeoutMs: 660_000,
  })
  .onUnwound((s) => abandonTask(s, {}, deleteEnd))

export const restoreServerSaga = saga<TaskParams>("compute.server.restore", 1)
  .step("start", {
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const server = await heldServer(ctx, params)
      if (server.host === null) throw serverNotReady(server.id)
      const spec = await machineSpec(ctx, server, await bindServerPorts(ctx, server, server.host))
      const fence = { generation: params.generation, fence: s.fence }
      const command = { spec, power: "running" as const, fence }
      const state = await callAgent(ctx, server.host, "vm.ensure", command, { signal: s.signal })
      // A new size that nobody has confirmed waits for that still.
      const vmState = server.oldFlavor === null ? ("active" as const) : ("resized" as const)
      const changes = {
        vmState,
        powerState: powerNumberOf(state.power),
        fault: null,
        isSoftDeletedNow: false,
      }
      return finishTask(ctx, params, changes, restoreEnd)
    },
    timeoutMs: 660_000,
  })
  .onUnwound((s) => abandonTask(s, {}, restoreEnd))
