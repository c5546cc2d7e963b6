import type { Ctx } from "../../platform/context/context.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { getOf } from "../../platform/noun/verbs.ts"
import { listOfProjects } from "../list.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { type Attachment, attachmentNoun } from "./attachment.ts"

export async function visibleAttachment(ctx: Ctx, id: string): Promise<Attachment> {
  return await loadThing(ctx.db, attachmentNoun, viewerOf(ctx), id)
}

export const getAttachment = getOf(attachmentNoun, {
  viewer: viewerOf,
  target: targetOf,
  rule: "volume:attachment_get",
})

export const listAttachments = listOfProjects(attachmentNoun, "volume:attachment_get")
