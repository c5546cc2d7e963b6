// The machine first, then its interfaces, volumes and room: nothing is given to others while the guest still runs.
import { saga, withLog } from "../../engine/saga/saga.ts"
import { releaseServerPorts } from "../../network/index.ts"
import { releaseAllocation } from "../../placement/index.ts"
import { callAgent } from "../agent-call.ts"
import { isHostReachable } from "../host/reachable.ts"
import { endAction } from "../server-action/store.ts"
import { dropAdminPassword } from "./admin-password.ts"
import { giveBackVolumes } from "./block-device.ts"
import { dropInjectedFiles } from "./injected-file.ts"
import { notifyServer } from "./notification.ts"
import { abandonTask, advanceTask, heldServer, isFinished, type TaskParams } from "./task.ts"

export interface DeleteParams extends TaskParams {
  /** Where the machine may be; two after a resize that nobody confirmed. */
  hosts: string[]
}

const end = { event: "delete", part: "compute_terminate_instance" }

export const deleteServerSaga = saga<DeleteParams>("compute.server.delete", 1)
  .step("destroy", {
    // For a host that restarts; one that is down is passed over.
    waits: true,
    do: async (s) => {
      await heldServer(s.ctx, s.params)
      const fence = { generation: s.params.generation, fence: s.fence }
      for (const host of s.params.hosts) {
        // A dead host must not keep a server from being deleted; the machine is removed when the host is back.
        if (!(await isHostReachable(s.ctx, host))) continue
        await callAgent(
          s.ctx,
          host,
          "vm.destroy",
          { serverId: s.params.serverId, fence },
          { signal: s.signal },
        )
      }
    },
    timeoutMs: 180_000,
  })
  .step("release", {
    waits: true,
    do: async (s) => {
      const { ctx, params } = s
      if (await isFinished(ctx, params)) return
      const { id, hasVolumes } = await heldServer(ctx, params)
      await releaseServerPorts(ctx, params.serverId)
      return withLog(async (tx) => {
        await releaseAllocation(tx, params.serverId)
        await releaseAllocation(tx, migrationConsumerOf(params.serverId))
        if (hasVolumes) await giveBackVolumes(ctx, tx, { id, hasVolumes }, params)
        await dropAdminPassword(tx, params.serverId)
        await dropInjectedFiles(tx, params.serverId)
        await tx.deleteFrom("compute.tpm_key").where("server_id", "=", params.serverId).execute()
        const server = await advanceTask(tx, params, {
          vmState: "deleted",
          taskState: null,
          powerState: 0,
          isDeletedNow: true,
          isFinishedNow: true,
        })
        await endAction(tx, {
          serverId: server.id,
          requestId: params.requestId,
          event: end.part,
          host: server.host,
          error: null,
        })
        await notifyServer(ctx, tx, server, "delete.end", params)
      })
    },
  })
  .onUnwound((s) => abandonTask(s, { vmState: "error" }, end))

/** Who holds the room of the old size during a resize: an id of its own, derivable from the server's. */
export function migrationConsumerOf(serverId: string): string {
  return `${serverId.slice(0, 14)}8${serverId.slice(15)}`
}
