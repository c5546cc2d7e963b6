import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { ruledFields } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { hiddenAttributes } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Port, portNoun, portTarget } from "./port.ts"

export async function loadPort(db: DbOrTx, portId: string, viewer: Viewer = everything): Promise<Port> {
  return await loadThing(db, portNoun, viewer, portId)
}

const asked = { viewer: viewerOf, rule: "get_port", target: portTarget }

export const getPort = getOf(portNoun, asked)
export const listPorts = listOf(portNoun, asked)

/** Two of them are made of the others, by the wire. */
const ruled = {
  ...ruledFields(portNoun.fields, "read"),
  bindingVifType: "binding:vif_type",
  bindingVifDetails: "binding:vif_details",
}

/** Attributes of the port that the caller may not see. */
export function hiddenPortAttributes(ctx: Ctx, port: Port): Set<string> {
  return hiddenAttributes(ctx, "get_port", portTarget(port), ruled)
}
