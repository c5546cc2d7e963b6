import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { serverInvalidState, serverLocked, serverNotFound } from "../faults.ts"
import { deleteServerSaga } from "./delete.saga.ts"
import { targetOf, visibleServer } from "./read.ts"
import { beginTask } from "./task.ts"

/** Removes the server and all that it has; in any state, also while another task runs. */
function deleting(verb: string, rule: string) {
  return operation({
    name: `compute.server.${verb}`,
    input: Type.Object({ serverId: Type.String() }),
    faults: [serverNotFound, serverLocked, serverInvalidState],
    load: (ctx, input) => visibleServer(ctx, input.serverId),
    rule: `os_compute_api:${rule}`,
    target: (_ctx, _input, server) => targetOf(server),
    run: async (ctx, _input, server) => {
      // Somebody is at it already; asking again is no error.
      if (server.taskState === "deleting") return
      await beginTask(ctx, {
        serverId: server.id,
        action: "delete",
        event: "delete",
        saga: deleteServerSaga,
        more: (_tx, claimed) => ({
          hosts: [...new Set([claimed.host, claimed.oldHost].filter((host) => host !== null))],
        }),
      })
    },
  })
}

export const deleteServer = deleting("delete", "servers:delete")
export const forceDeleteServer = deleting("force_delete", "os-deferred-delete:force")
