// Tasks that are one command to the host and one change of the row. The command may be repeated, so they share
// one step: whatever is interrupted is run again from its beginning.

import type { VmState as MachineState } from "../../agent/protocol.ts"
import { type Saga, type StepContext, saga } from "../../engine/saga/saga.ts"
import { bindServerPorts } from "../../network/index.ts"
import { callAgent } from "../agent-call.ts"
import { serverNotReady } from "../faults.ts"
import { machineSpec } from "../metadata/machine-spec.ts"
import { powerNumberOf, type Server, type VmState } from "./server.ts"
import type { ServerChanges } from "./store.ts"
import { abandonTask, finishTask, heldServer, isFinished, type TaskParams } from "./task.ts"

interface PowerTask {
  name: string
  event: string
  part: string
  vmState: VmState
  command: (s: StepContext<TaskParams, object>, server: Server, host: string) => Promise<MachineState>
  /** State after a failure; absent: as it was. */
  failed?: ServerChanges
}

function powerSaga(task: PowerTask): Saga<TaskParams> {
  const end = { event: task.event, part: task.part }
  return saga<TaskParams>(`compute.server.${task.name}`, 1)
    .step("command", {
      do: async (s) => {
        if (await isFinished(s.ctx, s.params)) return
        const server = await heldServer(s.ctx, s.params)
        if (!server.host) throw serverNotReady(server.id)
        const state = await task.command(s, server, server.host)
        const changes: ServerChanges = {
          vmState: task.vmState,
          powerState: powerNumberOf(state.power),
          fault: null,
        }
        return finishTask(s.ctx, s.params, changes, end)
      },
      timeoutMs: 660_000,
    })
    .onUnwound((s) => abandonTask(s, task.failed ?? {}, end)) as Saga<TaskParams>
}

const fenceOf = (s: StepContext<TaskParams, object>) => ({ generation: s.params.generation, fence: s.fence })

async function ensureRunning(s: StepContext<TaskParams, object>, server: Server, host: string) {
  const spec = await machineSpec(s.ctx, server, await bindServerPorts(s.ctx, server, host))
  return await callAgent(
    s.ctx,
    host,
    "vm.ensure",
    { spec, power: "running", fence: fenceOf(s) },
    { signal: s.signal },
  )
}

async function reboot(s: StepContext<TaskParams, object>, server: Server, host: string, hard: boolean) {
  const spec = await machineSpec(s.ctx, server, await bindServerPorts(s.ctx, server, host))
  return await callAgent(
    s.ctx,
    host,
    "vm.reboot",
    { spec, hard, graceMs: s.ctx.config.compute.stopGraceMs, fence: fenceOf(s) },
    { signal: s.signal },
  )
}

export const startServerSaga = powerSaga({
  name: "start",
  event: "power_on",
  part: "compute_start_instance",
  vmState: "active",
  command: ensureRunning,
})

export const stopServerSaga = powerSaga({
  name: "stop",
  event: "power_off",
  part: "compute_stop_instance",
  vmState: "stopped",
  command: (s, server, host) =>
    callAgent(
      s.ctx,
      host,
      "vm.stop",
      { serverId: server.id, graceMs: s.ctx.config.compute.stopGraceMs, fence: fenceOf(s) },
      { signal: s.signal },
    ),
})

export const rebootServerSaga = powerSaga({
  name: "reboot_soft",
  event: "reboot",
  part: "compute_reboot_instance",
  vmState: "active",
  command: (s, server, host) => reboot(s, server, host, false),
})

export const hardRebootServerSaga = powerSaga({
  name: "reboot_hard",
  event: "reboot",
  part: "compute_reboot_instance",
  vmState: "active",
  command: (s, server, host) => reboot(s, server, host, true),
  failed: { vmState: "error" },
})

export const pauseServerSaga = powerSaga({
  name: "pause",
  event: "pause",
  part: "compute_pause_instance",
  vmState: "paused",
  command: (s, server, host) =>
    callAgent(s.ctx, host, "vm.pause", { serverId: server.id, fence: fenceOf(s) }, { signal: s.signal }),
})

export const suspendServerSaga = powerSaga({
  name: "suspend",
  event: "suspend",
  part: "compute_suspend_instance",
  vmState: "suspended",
  command: (s, server, host) =>
    callAgent(s.ctx, host, "vm.suspend", { serverId: server.id, fence: fenceOf(s) }, { signal: s.signal }),
})

export const resumeServerSaga = powerSaga({
  name: "resume",
  event: "resume",
  part: "compute_resume_instance",
  vmState: "active",
  command: ensureRunning,
})

export const unpauseServerSaga = powerSaga({
  name: "unpause",
  event: "unpause",
  part: "compute_unpause_instance",
  vmState: "active",
  command: (s, server, host) =>
    callAgent(s.ctx, host, "vm.unpause", { serverId: server.id, fence: fenceOf(s) }, { signal: s.signal }),
})
