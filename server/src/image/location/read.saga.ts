// Reads the data at an address once: what they are, and whether they are what somebody said. The image becomes active
// with that (a location by POST), or may be booted from then on (a location by PATCH, active from the start).
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import { type Saga, type StepContext, saga, withLog } from "../../engine/saga/saga.ts"
import type { Tx } from "../../platform/db/database.ts"
import { ensureDirectories, writeData } from "../data/file-store.ts"
import { inspectData } from "../data/inspect.ts"
import { storePaths } from "../data/paths.ts"
import { signatureOf } from "../data/signature.ts"
import { mainStoreId } from "../data/stores.ts"
import { imageGone, locationDiffers } from "../faults.ts"
import { announceImage } from "../image/events.ts"
import { type Image, importTaskProperty } from "../image/image.ts"
import { findImage, imageFields } from "../image/store.ts"
import { openDownload } from "../import/web-download.ts"
import { beginTask, endTask } from "../task/store.ts"
import type { Claim, OsHashAlgorithm } from "./check.ts"
import { addPlace } from "./rows.ts"

export interface ReadParams {
  imageId: string
  /** The image is importing, and this brings its data. Null: it is active. */
  taskId: string | null
  /** Where the data lie while they are looked at; the image's row names it meanwhile. */
  file: string
  store: string
  url: string
  algorithm: OsHashAlgorithm
  claim: Claim | null
}

interface Facts {
  sizeBytes: number
  virtualSizeBytes: number | null
  checksum: string
  osHashAlgo: string
  osHashValue: string
  problem: string | null
}

type Step = Pick<StepContext<ReadParams, object>, "ctx" | "params" | "signal" | "transact">

const readTimeoutMs = 6 * 3_600_000

export const readSaga: Saga<ReadParams> = saga<ReadParams>("image.location.read", 1)
  .step("read", {
    do: readOnce,
    undo: ({ ctx, params }) => rm(temporaryPath(ctx, params), { force: true }),
    timeoutMs: readTimeoutMs,
  })
  .step("settle", {
    do: ({ ctx, params, out }) =>
      withLog((tx) =>
        params.taskId === null
          ? settleActive(tx, params, out.read, ctx.clock.now())
          : settleImported(tx, ctx, { params, taskId: params.taskId, facts: out.read }),
      ),
  })
  .onUnwound(({ ctx, params, failure }) =>
    withLog(async (tx) => {
      const { taskId, imageId, file } = params
      const now = ctx.clock.now()
      const since = { staged_file: null, generation: sql<number>`generation + 1`, updated_at: now }
      const ofIt = tx.updateTable("image.image").where("id", "=", imageId).where("staged_file", "=", file)
      if (taskId === null) {
        const problem = `its data were not read: ${failure.message}`
        await ofIt.set({ ...since, content_problem: problem.slice(0, 1000) }).execute()
        return
      }
      await endTask(tx, ctx, taskId, { status: "failure", message: failure.message })
      const properties = sql<Image["properties"]>`properties - ${importTaskProperty}::text`
      await ofIt.set({ ...since, status: "queued", size_bytes: null, properties }).execute()
    }),
  )

function temporaryPath(ctx: Step["ctx"], { file }: ReadParams): string {
  return join(storePaths(ctx, mainStoreId).tmp, file)
}

async function readOnce({ ctx, params, signal, transact }: Step): Promise<Facts> {
  const { taskId, imageId, url, algorithm, claim } = params
  if (taskId !== null) await transact((tx) => beginTask(tx, taskId, ctx.clock.now()))
  const image = await findImage(ctx.db, imageId)
  if (!image) throw imageGone(imageId)
  const signature = await signatureOf(ctx, image.properties)
  await ensureDirectories(ctx, mainStoreId)
  const path = temporaryPath(ctx, params)
  await rm(path, { force: true })
  const { sizeMaxBytes: limitBytes, reserveBytes } = ctx.config.image
  try {
    const body = await openDownload(url, ctx.config, { signal, limitBytes })
    const onProgress = () => signal.throwIfAborted()
    const options = { limitBytes, reserveBytes, onProgress, algorithm, signature }
    const written = await writeData(path, body, options)
    const differing = claim === null ? null : differenceOf(claim, written)
    if (differing !== null && taskId !== null) throw locationDiffers(url, differing)
    const inspection = await inspectData(ctx, path, image)
    if (differing === null) return { ...written, ...inspection }
    return { ...written, ...inspection, problem: `the ${differing} of its data is not what was said` }
  } finally {
    await rm(path, { force: true })
  }
}

function differenceOf(claim: Claim, found: { checksum: string; osHashValue: string }): string | null {
  if (claim.osHashValue.toLowerCase() !== found.osHashValue) return "os_hash_value"
  return claim.checksum !== undefined && claim.checksum.toLowerCase() !== found.checksum ? "checksum" : null
}

async function settleActive(tx: Tx, { imageId, file }: ReadParams, facts: Facts, now: Date): Promise<void> {
  await tx
    .updateTable("image.image")
    .set({
      size_bytes: facts.sizeBytes,
      virtual_size_bytes: facts.virtualSizeBytes,
      read_checksum: facts.checksum,
      content_problem: facts.problem,
      staged_file: null,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", imageId)
    .where("staged_file", "=", file)
    .execute()
}

async function settleImported(
  tx: Tx,
  ctx: Step["ctx"],
  { params, taskId, facts }: { params: ReadParams; taskId: string; facts: Facts },
): Promise<void> {
  const { imageId, store, url } = params
  const now = ctx.clock.now()
  await addPlace(tx, imageId, { store, url }, now)
  const image = await tx
    .updateTable("image.image")
    .set({
      status: "active",
      size_bytes: facts.sizeBytes,
      virtual_size_bytes: facts.virtualSizeBytes,
      checksum: facts.checksum,
      os_hash_algo: facts.osHashAlgo,
      os_hash_value: facts.osHashValue,
      content_problem: facts.problem,
      staged_file: null,
      properties: sql`properties - ${importTaskProperty}::text`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", imageId)
    .where("status", "=", "importing")
    .returning(imageFields)
    .$castTo<Image>()
    .executeTakeFirst()
  if (!image) throw imageGone(imageId)
  await endTask(tx, ctx, taskId, { status: "success", result: { image_id: imageId } })
  await announceImage(tx, ctx, "activate", image)
}
