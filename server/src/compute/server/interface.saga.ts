// One interface more or less for a machine that is there. The port is made with the request; here it is plugged, or
// what came of it is taken away again. Other tasks may take the server meanwhile: the host refuses what they overtook.
import type { VifSpec } from "../../agent/protocol.ts"
import { type SagaFailure, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import { detachServerInterface, settleNetwork } from "../../network/index.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent, undoPlug } from "../agent-call.ts"
import { endAction } from "../server-action/store.ts"
import type { TaskParams } from "./task.ts"

export interface InterfaceParams extends TaskParams {
  host: string
  portId: string
}

export interface AttachParams extends InterfaceParams {
  vif: VifSpec
}

type Step<P extends InterfaceParams = InterfaceParams> = StepContext<P, object>

const fenceOf = (s: Step) => ({ generation: s.params.generation, fence: s.fence })
const attachPart = "compute_attach_interface"
const detachPart = "compute_detach_interface"

async function endPart(tx: Tx, params: InterfaceParams, event: string, failure: SagaFailure | null) {
  const { serverId, requestId, host } = params
  await endAction(tx, { serverId, requestId, event, host, error: failure?.message ?? null })
}

async function letGo(s: Step, tx: Tx): Promise<void> {
  await detachServerInterface(s.ctx, tx, s.params)
}

export const attachInterfaceSaga = saga<AttachParams>("compute.server.attach_interface", 1)
  .step("plug", {
    do: async (s) => {
      const { serverId, host, portId, vif } = s.params
      await settleNetwork(s.ctx, [portId])
      await callAgent(s.ctx, host, "vm.plug", { serverId, vif, fence: fenceOf(s) }, { signal: s.signal })
      return withLog((tx) => endPart(tx, s.params, attachPart, null))
    },
    // Also of a command that nobody answered in time: the host may have carried it out.
    undo: async (s) => {
      const { serverId, portId, host } = s.params
      await undoPlug(s.ctx, host, { serverId, portId, fence: fenceOf(s) })
    },
    timeoutMs: 180_000,
  })
  .onUnwound((s) =>
    withLog(async (tx) => {
      await letGo(s, tx)
      await endPart(tx, s.params, attachPart, s.failure)
    }),
  )

export const detachInterfaceSaga = saga<InterfaceParams>("compute.server.detach_interface", 1)
  .step("unplug", {
    do: async (s) => {
      const { serverId, portId, host } = s.params
      const command = { serverId, portId, fence: fenceOf(s) }
      await callAgent(s.ctx, host, "vm.unplug", command, { signal: s.signal })
    },
    timeoutMs: 180_000,
  })
  .step("release", {
    do: (s) =>
      withLog(async (tx) => {
        await letGo(s, tx)
        await endPart(tx, s.params, detachPart, null)
      }),
  })
  .onUnwound((s) => withLog((tx) => endPart(tx, s.params, detachPart, s.failure)))
