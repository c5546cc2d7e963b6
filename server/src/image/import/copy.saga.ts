// Brings the data of an active image into further stores. The file has one name in all of them; a store has it once its
// row says so, so a try after a crash goes on with the stores that are left. The image can be used meanwhile.
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import { type Saga, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import {
  ensureDirectories,
  publishFile,
  removeUnnamed,
  type WrittenData,
  writeData,
} from "../data/file-store.ts"
import { storePaths } from "../data/paths.ts"
import { readPart } from "../data/read.ts"
import { checkSizeQuota } from "../data/transfer.ts"
import { copyDiffers, imageGone } from "../faults.ts"
import { hasData, type Image, importTaskProperty } from "../image/image.ts"
import { findImage } from "../image/store.ts"
import { addPlace, takePlaces } from "../location/rows.ts"
import { beginTask, endTask, noteTask } from "../task/store.ts"
import { progressOf } from "./stores.ts"

export interface CopyParams {
  imageId: string
  taskId: string
  file: string
  stores: readonly string[]
  /** Whether one store that fails fails all. */
  mustAllSucceed: boolean
}

type Step = Pick<StepContext<CopyParams, object>, "ctx" | "params" | "signal" | "transact" | "log">

const copyTimeoutMs = 6 * 3_600_000
const noteEveryMs = 5_000
const mib = 1024 * 1024

export const copySaga: Saga<CopyParams> = saga<CopyParams>("image.image.copy", 1)
  .step("copy", { do: copyToStores, undo: removeCopies, timeoutMs: copyTimeoutMs })
  .step("end", {
    do: ({ ctx, params, out }) =>
      withLog(async (tx) => {
        await release(tx, params, out.copy.failed, ctx.clock.now())
        const result = { image_id: params.imageId }
        await endTask(tx, ctx, params.taskId, { status: "success", result })
      }),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      await release(tx, params, params.stores, ctx.clock.now())
      await endTask(tx, ctx, params.taskId, { status: "failure", message: failure.message })
    }),
  )

async function copyToStores(s: Step): Promise<{ failed: string[] }> {
  const { ctx, params, signal, transact, log } = s
  const { imageId, stores } = params
  await transact((tx) => beginTask(tx, params.taskId, ctx.clock.now()))
  const failed: string[] = []
  let failure: unknown
  for (const [at, store] of stores.entries()) {
    const image = await findImage(ctx.db, imageId)
    if (!image || !hasData(image)) throw imageGone(imageId)
    if (image.places.some((place) => place.store === store)) continue
    try {
      await copyTo(s, image, store)
    } catch (error) {
      signal.throwIfAborted()
      if (params.mustAllSucceed || imageGone.is(error)) throw error
      log.warn({ store, imageId, err: describeError(error) }, "an image did not reach a store")
      failed.push(store)
      failure = error
    }
    const progress = progressOf(stores.slice(at + 1), failed)
    await transact((tx) => setProgress(tx, params, progress, ctx.clock.now()))
  }
  if (failed.length === stores.length) throw failure
  return { failed }
}

async function copyTo({ ctx, params, signal, transact }: Step, image: Image, store: string): Promise<void> {
  const { file, imageId } = params
  await ensureDirectories(ctx, store)
  const paths = storePaths(ctx, store)
  const tmp = join(paths.tmp, file)
  await rm(tmp, { force: true })
  const { stream } = await readPart(ctx, image, null)
  let notedMs = ctx.clock.monotonicMs()
  const written = await writeData(tmp, stream, {
    limitBytes: ctx.config.image.sizeMaxBytes,
    reserveBytes: ctx.config.image.reserveBytes,
    onProgress: async (sizeBytes) => {
      signal.throwIfAborted()
      if (ctx.clock.monotonicMs() - notedMs < noteEveryMs) return
      notedMs = ctx.clock.monotonicMs()
      const message = `Copied ${Math.floor(sizeBytes / mib)} MiB to ${store}`
      await transact((tx) => noteTask(tx, params.taskId, message, ctx.clock.now()))
    },
  })
  if (!isSame(image, written)) {
    await rm(tmp, { force: true })
    throw copyDiffers(imageId)
  }
  await publishFile(tmp, join(paths.store, file))
  await transact(async (tx) => {
    await checkSizeQuota(ctx, tx, image, written.sizeBytes)
    await addPlace(tx, imageId, { store, file }, ctx.clock.now())
  })
}

/** As far as anybody has said what they are. */
function isSame(image: Image, written: WrittenData): boolean {
  if (image.sizeBytes !== null && image.sizeBytes !== written.sizeBytes) return false
  const md5 = image.readChecksum || image.checksum
  if (md5 !== null && md5 !== written.checksum) return false
  return image.osHashAlgo !== written.osHashAlgo || image.osHashValue === written.osHashValue
}

async function removeCopies({
  ctx,
  params,
  transact,
}: Pick<Step, "ctx" | "params" | "transact">): Promise<void> {
  const { imageId, file } = params
  await transact((tx) => takePlaces(tx, imageId, file))
  await removeUnnamed(ctx, params.stores, file)
}

async function setProgress(
  tx: Tx,
  { imageId, taskId }: CopyParams,
  progress: object,
  now: Date,
): Promise<void> {
  await tx
    .updateTable("image.image")
    .set({
      properties: sql`properties || ${JSON.stringify(progress)}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", imageId)
    .where(sql`properties ->> ${importTaskProperty}::text`, "=", taskId)
    .execute()
}

/** The next may come. */
async function release(tx: Tx, params: CopyParams, failed: readonly string[], now: Date): Promise<void> {
  await tx
    .updateTable("image.image")
    .set({
      staged_file: null,
      properties: sql`(properties - ${importTaskProperty}::text) || ${JSON.stringify(progressOf([], failed))}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", params.imageId)
    .where(sql`properties ->> ${importTaskProperty}::text`, "=", params.taskId)
    .execute()
}
