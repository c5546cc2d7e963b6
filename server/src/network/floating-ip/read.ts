import type { DbOrTx } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type FloatingIp, floatingIpNoun, floatingIpTarget } from "./floating-ip.ts"

export async function loadFloatingIp(
  db: DbOrTx,
  id: string,
  viewer: Viewer = everything,
): Promise<FloatingIp> {
  return await loadThing(db, floatingIpNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_floatingip", target: floatingIpTarget }

export const getFloatingIp = getOf(floatingIpNoun, asked)
export const listFloatingIps = listOf(floatingIpNoun, asked)
