import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { actionNotAllowed, imageNotFound } from "../faults.ts"
import { announceImage } from "./events.ts"
import type { Image } from "./image.ts"
import { imageTarget, moveImage, visibleImage } from "./store.ts"

const input = Type.Object({ imageId: Type.String() })

/** Nobody but administrators may use the data from now on. Repeating it changes nothing. */
export const deactivateImage = operation({
  name: "image.image.deactivate",
  input,
  faults: [imageNotFound, actionNotAllowed],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "deactivate",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, _input, image) => await move(ctx, image, "active", "deactivated", "deactivate"),
})

export const reactivateImage = operation({
  name: "image.image.reactivate",
  input,
  faults: [imageNotFound, actionNotAllowed],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "reactivate",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, _input, image) => await move(ctx, image, "deactivated", "active", "reactivate"),
})

async function move(
  ctx: Ctx,
  image: Image,
  from: "active" | "deactivated",
  to: "active" | "deactivated",
  action: string,
): Promise<void> {
  if (image.status === to) return
  await transact(ctx.db, async (tx) => {
    const moved = await moveImage(tx, image.id, [from], to, ctx.clock.now())
    if (!moved) throw actionNotAllowed(action, image.status)
    await announceImage(tx, ctx, "update", moved)
  })
}
