import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./find.ts"
import { type ServerNetworking, selectNetworking } from "./networking.ts"
import type { Server } from "./server.ts"

export interface ServerWithNetworking {
  server: Server
  networking: ServerNetworking
}

export const noNetworking: ServerNetworking = { addresses: [], securityGroups: [] }

/** One server with its addresses. `rule` names why it is read. */
export const showServer = operation({
  name: "compute.server.show",
  input: Type.Object({ serverId: Type.String(), rule: Type.Optional(Type.String()) }),
  faults: [serverNotFound],
  load: (ctx, input) => visibleServer(ctx, input.serverId),
  authorize: (_ctx, input, server) => [[input.rule ?? "os_compute_api:servers:show", targetOf(server)]],
  run: async (ctx, _input, server): Promise<ServerWithNetworking> => {
    const networking = await selectNetworking(ctx.db, [server.id])
    return { server, networking: networking.get(server.id) ?? noNetworking }
  },
})
