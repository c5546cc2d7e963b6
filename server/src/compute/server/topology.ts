import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { serverNotFound } from "../faults.ts"
import { targetOf, visibleServer } from "./read.ts"

/** Cells of memory that a guest is given by its flavor or image: none, so there is nothing to say of any. */
export const showServerTopology = operation({
  name: "compute.server.show_topology",
  input: Type.Object({ serverId: Type.String() }),
  faults: [serverNotFound],
  load: (ctx, { serverId }) => visibleServer(ctx, serverId),
  rule: "os_compute_api:compute:server:topology:index",
  target: (_ctx, _input, server) => targetOf(server),
  run: async (): Promise<{ nodes: never[]; pageSizeKib: null }> => ({ nodes: [], pageSizeKib: null }),
})
