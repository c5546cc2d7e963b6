import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { hiddenAttributes } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Network, networkNoun, networkTarget } from "./network.ts"

export async function visibleNetwork(ctx: Ctx, networkId: string): Promise<Network> {
  return await loadNetwork(ctx.db, networkId, viewerOf(ctx))
}

export async function loadNetwork(
  db: DbOrTx,
  networkId: string,
  viewer: Viewer = everything,
): Promise<Network> {
  return await loadThing(db, networkNoun, viewer, networkId)
}

const asked = { viewer: viewerOf, rule: "get_network", target: networkTarget }

export const getNetwork = getOf(networkNoun, asked)
export const listNetworks = listOf(networkNoun, asked)

const ruled = ruledFields(networkNoun.fields, "read")

/** Attributes of the network that the caller may not see. */
export function hiddenNetworkAttributes(ctx: Ctx, network: Network): Set<string> {
  return hiddenAttributes(ctx, "get_network", networkTarget(network), ruled)
}
