// An interrupt for the guest. It takes no task: others may take the server meanwhile, and the host refuses what they
// overtook. After a crash it is sent again, which a kernel that dumps already passes over.
import { type SagaFailure, saga, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { endAction } from "../server-action/store.ts"
import type { HostTaskParams } from "./turn.ts"

const part = "compute_trigger_crash_dump"

async function endPart(tx: Tx, params: HostTaskParams, failure: SagaFailure | null): Promise<void> {
  const { serverId, requestId, host } = params
  await endAction(tx, { serverId, requestId, event: part, host, error: failure?.message ?? null })
}

export const crashDumpSaga = saga<HostTaskParams>("compute.server.trigger_crash_dump", 1)
  .step("interrupt", {
    do: async (s) => {
      const { serverId, host, generation } = s.params
      const command = { serverId, fence: { generation, fence: s.fence } }
      await callAgent(s.ctx, host, "vm.inject_nmi", command, { signal: s.signal })
      return withLog((tx) => endPart(tx, s.params, null))
    },
    timeoutMs: 180_000,
  })
  .onUnwound((s) => withLog((tx) => endPart(tx, s.params, s.failure)))
