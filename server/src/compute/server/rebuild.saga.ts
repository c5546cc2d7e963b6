// The same server on a fresh disk: the machine is destroyed and made again in its place, with its interfaces.
import { saga } from "../../engine/saga/saga.ts"
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

const end = { event: "rebuild", part: "compute_rebuild_instance" }

export const rebuildServerSaga = saga<RebuildParams>("compute.server.rebuild", 1)
  .step("destroy", {
    do: async (s) => {
      const server = await heldServer(s.ctx, s.params)
      if (!server.host) throw serverNotReady(server.id)
      // One generation below what follows: a tombstone lets only a higher one pass.
      const fence = { generation: s.params.generation - 1, fence: s.fence }
      await callAgent(s.ctx, server.host, "vm.destroy", { serverId: server.id, fence }, { signal: s.signal })
    },
    timeoutMs: 180_000,
  })
  .step("spawn", {
    // Its disk is gone already.
    waits: true,
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const server = await heldServer(ctx, params)
      if (!server.host) throw serverNotReady(server.id)
      const spec = await machineSpec(ctx, server, await bindServerPorts(ctx, server, server.host))
      const fence = { generation: params.generation, fence: s.fence }
      const power = params.isStopped ? "shutdown" : "running"
      const state = await callAgent(
        ctx,
        server.host,
        "vm.ensure",
        { spec, power, fence },
        { signal: s.signal },
      )
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
    },
    timeoutMs: 900_000,
  })
  .onUnwound((s) => abandonTask(s, { vmState: "error" }, end))
