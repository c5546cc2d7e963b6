import type { DbOrTx } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { type Router, routerNoun, routerTarget } from "./router.ts"

export async function loadRouter(db: DbOrTx, id: string, viewer: Viewer = everything): Promise<Router> {
  return await loadThing(db, routerNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_router", target: routerTarget }

export const getRouter = getOf(routerNoun, asked)
export const listRouters = listOf(routerNoun, asked)
