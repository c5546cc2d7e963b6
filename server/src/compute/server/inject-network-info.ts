import { Type } from "typebox"
import { bindServerPorts } from "../../network/index.ts"
import { operation } from "../../platform/operation/operation.ts"
import { isAdmin } from "../admin.ts"
import { serverLocked, serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

/** The network is told anew where the server's ports are. What a guest asks for it is answered from there. */
export const injectNetworkInfo = operation({
  name: "compute.server.inject_network_info",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound, serverLocked],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:os-admin-actions:inject_network_info",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (ctx, _input, server) => {
    if (server.lockedBy !== null && !isAdmin(ctx)) throw serverLocked(server.id)
    if (server.host !== null) await bindServerPorts(ctx, server, server.host)
  },
})
