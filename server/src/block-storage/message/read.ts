import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Message, messageNoun } from "./message.ts"

/** One that the caller sees; throws `messageNotFound`. */
export async function visibleMessage(ctx: Ctx, id: string): Promise<Message> {
  return await loadThing(ctx.db, messageNoun, viewerOf(ctx), id)
}

export const getMessage = getOf(messageNoun, { viewer: viewerOf, target: targetOf, rule: "message:get" })

export const listMessages = listOfProjects(messageNoun, "message:get_all")
