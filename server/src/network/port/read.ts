import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { portNotFound } from "../faults.ts"
import { findRow, listed, listRows } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import { hiddenAttributes } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Port, portAttributes, portSource, portTarget } from "./port.ts"

export async function loadPort(db: DbOrTx, portId: string, viewer: Viewer = everything): Promise<Port> {
  const port = await findRow<Port>(db, portSource(viewer), portId)
  if (!port) throw portNotFound(portId)
  return port
}

export const getPort = operation({
  name: "network.port.get",
  input: Type.Object({ portId: Type.String() }),
  faults: [portNotFound],
  load: (ctx, { portId }) => loadPort(ctx.db, portId, viewerOf(ctx)),
  rule: "get_port",
  target: (_ctx, _input, port) => portTarget(port),
  run: async (_ctx, _input, port) => port,
})

export const listPorts = listOperation<Port>({
  name: "network.port.list",
  rule: "get_port",
  run: async (ctx, query) => {
    const ports = await listRows<Port>(ctx.db, portSource(viewerOf(ctx)), query)
    return listed(ctx, "get_port", ports, portTarget)
  },
})

/** Attributes of the port that the caller may not see. */
export function hiddenPortAttributes(ctx: Ctx, port: Port): Set<string> {
  return hiddenAttributes(ctx, "get_port", portTarget(port), portAttributes.read)
}
