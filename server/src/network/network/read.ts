import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { networkNotFound } from "../faults.ts"
import { findRow, listed, listRows } from "../resource/list.ts"
import { listOperation } from "../resource/list-operation.ts"
import { hiddenAttributes } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Network, networkAttributes, networkSource, networkTarget } from "./network.ts"

export async function visibleNetwork(ctx: Ctx, networkId: string): Promise<Network> {
  return await loadNetwork(ctx.db, networkId, viewerOf(ctx))
}

export async function loadNetwork(
  db: DbOrTx,
  networkId: string,
  viewer: Viewer = everything,
): Promise<Network> {
  const network = await findRow<Network>(db, networkSource(viewer), networkId)
  if (!network) throw networkNotFound(networkId)
  return network
}

export const getNetwork = operation({
  name: "network.network.get",
  input: Type.Object({ networkId: Type.String() }),
  faults: [networkNotFound],
  load: (ctx, { networkId }) => visibleNetwork(ctx, networkId),
  rule: "get_network",
  target: (_ctx, _input, network) => networkTarget(network),
  run: async (_ctx, _input, network) => network,
})

export const listNetworks = listOperation<Network>({
  name: "network.network.list",
  rule: "get_network",
  run: async (ctx, query) => {
    const networks = await listRows<Network>(ctx.db, networkSource(viewerOf(ctx)), query)
    return listed(ctx, "get_network", networks, networkTarget)
  },
})

/** Attributes of the network that the caller may not see. */
export function hiddenNetworkAttributes(ctx: Ctx, network: Network): Set<string> {
  return hiddenAttributes(ctx, "get_network", networkTarget(network), networkAttributes.read)
}
