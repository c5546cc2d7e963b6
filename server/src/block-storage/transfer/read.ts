import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Transfer, transferNoun } from "./transfer.ts"

export async function visibleTransfer(ctx: Ctx, id: string): Promise<Transfer> {
  return await loadThing(ctx.db, transferNoun, viewerOf(ctx), id)
}

export const getTransfer = getOf(transferNoun, {
  viewer: viewerOf,
  target: targetOf,
  rule: "volume:get_transfer",
})

export const listTransfers = listOfProjects(transferNoun, "volume:get_all_transfers")
