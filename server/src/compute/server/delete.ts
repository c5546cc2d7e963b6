import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { serverInvalidState, serverLocked, serverNotFound } from "../faults.ts"
import { deleteServerSaga } from "./delete.saga.ts"
import { targetOf, visibleServer } from "./find.ts"
import { beginTask } from "./task.ts"

/** Removes the server and all that it has; in any state, also while another task runs. */
export const deleteServer = operation({
  name: "compute.server.delete",
  input: Type.Object({ serverId: Type.String(), isForced: Type.Optional(Type.Boolean()) }),
  faults: [serverNotFound, serverLocked, serverInvalidState],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, input, server) => [
    [
      input.isForced ? "os_compute_api:os-deferred-delete:force" : "os_compute_api:servers:delete",
      targetOf(server),
    ],
  ],
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
