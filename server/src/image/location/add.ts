// The places of an image's data, and an image whose data stay at an address.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { nullable } from "../../platform/schema/make.ts"
import { fileName } from "../data/paths.ts"
import { imageNotFound, importUnderway, locationNeedsStore, locationNotNow } from "../faults.ts"
import { importTaskProperty, type Place } from "../image/image.ts"
import { imageTarget, visibleImage } from "../image/store.ts"
import { insertTask } from "../task/store.ts"
import type { Task } from "../task/task.ts"
import { Claim, checkClaim, storeOfAddress } from "./check.ts"
import { readSaga } from "./read.saga.ts"

export const listLocations = operation({
  name: "image.location.list",
  input: Type.Object({ imageId: Type.String() }),
  faults: [imageNotFound],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "fetch_image_location",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (_ctx, _input, { places }): Promise<readonly Place[]> => places,
})

/** The data of a queued image are at this address, and stay there. They are read once before the image is active. */
export const addLocation = operation({
  name: "image.location.add",
  input: Type.Object({ imageId: Type.String(), url: Type.String(), claim: nullable(Claim) }),
  faults: [imageNotFound, importUnderway, locationNeedsStore, locationNotNow],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["add_image_location"],
  authorize: (_ctx, _input, found) => {
    if (found.status !== "queued") throw locationNotNow("add", found.status)
    return [["add_image_location", imageTarget(found)]]
  },
  run: async (ctx, { url, claim }, image): Promise<Task> => {
    const store = storeOfAddress(ctx, url)
    const algorithm = claim === null ? "sha512" : checkClaim(claim)
    return await transact(ctx.db, async (tx) => {
      const [taskId, file] = [newUuid(), fileName(image.id, newUuid())]
      const done = await tx
        .updateTable("image.image")
        .set({
          status: "importing",
          staged_file: file,
          properties: sql`properties || ${JSON.stringify({ [importTaskProperty]: taskId })}::jsonb`,
          generation: sql`generation + 1`,
          updated_at: ctx.clock.now(),
        })
        .where("id", "=", image.id)
        .where("status", "=", "queued")
        .where("transfer_id", "is", null)
        .executeTakeFirst()
      if (done.numUpdatedRows === 0n) throw importUnderway(image.id)
      const input = { image_id: image.id, loc_url: url, validation_data: validationOf(claim) }
      const task = await insertTask(
        tx,
        { ...newTask(ctx), id: taskId, imageId: image.id, input },
        ctx.clock.now(),
      )
      await ctx.sagas.start(
        tx,
        readSaga,
        { imageId: image.id, taskId, file, store, url, algorithm, claim },
        { requestId: ctx.requestId, resourceId: image.id },
      )
      return task
    })
  },
})

function newTask(ctx: Ctx) {
  const { projectId, userId } = ctx.caller
  return { type: "location_import" as const, projectId, userId, requestId: ctx.requestId }
}

function validationOf(claim: Claim | null): Record<string, string> {
  return claim === null ? {} : { os_hash_algo: claim.osHashAlgo, os_hash_value: claim.osHashValue }
}
