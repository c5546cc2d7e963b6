// Starting a copy into further stores. The claim on the image, the task and the saga commit together.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { enforceQuota } from "../../quota/index.ts"
import { fileName } from "../data/paths.ts"
import { importUnderway } from "../faults.ts"
import { type Image, importTaskProperty } from "../image/image.ts"
import { imageQuota } from "../quota.ts"
import { insertTask } from "../task/store.ts"
import type { Task } from "../task/task.ts"
import { copySaga } from "./copy.saga.ts"
import { chosenStores, progressOf, type StoreWish } from "./stores.ts"

const mib = 1024 * 1024

/** Of two at once exactly one begins. Null: every store has the image. */
export async function copyImage(
  ctx: Ctx,
  image: Image,
  wish: StoreWish & { mustAllSucceed: boolean; request: Record<string, unknown> },
): Promise<Task | null> {
  const there = new Set(image.places.map(({ store }) => store))
  const chosen = chosenStores(ctx, wish)
  const stores = chosen.filter((store) => !there.has(store))
  const twice = chosen.find((store) => there.has(store))
  if (twice !== undefined && !wish.isAll) {
    throw invalid("stores", `Image is already present at store '${twice}'`)
  }
  if (stores.length === 0) {
    await noteNothingToCopy(ctx, image)
    return null
  }
  return await transact(ctx.db, async (tx) => {
    const { projectId } = image
    if (projectId !== null) {
      const add = { image_size_total: Math.ceil((image.sizeBytes ?? 0) / mib) * stores.length }
      await enforceQuota(ctx, tx, imageQuota, { projectId, add })
    }
    const taskId = newUuid()
    const file = fileName(image.id, newUuid())
    await claim(tx, ctx, image, { taskId, file, progress: progressOf(stores, []) })
    const input = { image_id: image.id, import_req: wish.request, backend: stores }
    const { projectId: owner, userId } = ctx.caller
    const task = await insertTask(
      tx,
      {
        ...{ id: taskId, type: "api_image_import", projectId: owner, userId, input },
        requestId: ctx.requestId,
        imageId: image.id,
      },
      ctx.clock.now(),
    )
    await ctx.sagas.start(
      tx,
      copySaga,
      { imageId: image.id, taskId, file, stores, mustAllSucceed: wish.mustAllSucceed },
      { requestId: ctx.requestId, resourceId: image.id },
    )
    return task
  })
}

/** Whoever waits for the copies looks at these. */
async function noteNothingToCopy(ctx: Ctx, image: Image): Promise<void> {
  await ctx.db
    .updateTable("image.image")
    .set({ properties: sql`properties || ${JSON.stringify(progressOf([], []))}::jsonb` })
    .where("id", "=", image.id)
    .where("status", "=", "active")
    .where(sql<boolean>`not (properties ? ${importTaskProperty}::text)`)
    .execute()
}

/** For work on an image that stays as it is meanwhile. `file` is what the work may have made at any time. */
export async function claim(
  tx: Tx,
  ctx: Ctx,
  image: Image,
  { taskId, file, progress }: { taskId: string; file: string; progress: Record<string, string> },
): Promise<void> {
  const done = await tx
    .updateTable("image.image")
    .set({
      staged_file: file,
      properties: sql`properties || ${JSON.stringify({ ...progress, [importTaskProperty]: taskId })}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: ctx.clock.now(),
    })
    .where("id", "=", image.id)
    .where("status", "=", "active")
    // Its data are being read for the first time.
    .where("staged_file", "is", null)
    .where(sql<boolean>`not (properties ? ${importTaskProperty}::text)`)
    .executeTakeFirst()
  if (done.numUpdatedRows === 0n) throw importUnderway(image.id)
}
