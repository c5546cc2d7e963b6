import type { DbOrTx } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Subnet, subnetNoun, subnetTarget } from "./subnet.ts"

export async function loadSubnet(db: DbOrTx, subnetId: string, viewer: Viewer = everything): Promise<Subnet> {
  return await loadThing(db, subnetNoun, viewer, subnetId)
}

const asked = { viewer: viewerOf, rule: "get_subnet", target: subnetTarget }

export const getSubnet = getOf(subnetNoun, asked)
export const listSubnets = listOf(subnetNoun, asked)
