// Brings data into an image: fetch them into the staging area, prepare and look at them, store them in each store that
// was asked for, make the image active. The file has the same name all the way and in every store (image id and the
// transfer id of the params), so every step finds what a crashed try left and does it again from the start.
import { copyFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import { type Saga, type StepContext, saga } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { StreamSignature } from "../../platform/hash/stream-hash.ts"
import { findThing } from "../../platform/noun/list.ts"
import { ensureDirectories, publishFile, removeUnnamed, tryLink, writeData } from "../data/file-store.ts"
import { stagingPath, storePaths } from "../data/paths.ts"
import { openImageData } from "../data/read.ts"
import { signatureOf } from "../data/signature.ts"
import { mainStoreId } from "../data/stores.ts"
import { activeColumns, checkSizeQuota } from "../data/transfer.ts"
import { dataDeactivated, dataRefused, downloadFailed, imageGone, signatureRefused } from "../faults.ts"
import { announceImage } from "../image/events.ts"
import { everybody, type Image, type ImageViewer, imageNoun, importTaskProperty } from "../image/image.ts"
import { imageFields } from "../image/store.ts"
import { discardImage, takeFile } from "../local/boot.ts"
import { addPlace, hasFile } from "../location/rows.ts"
import { beginTask, endTask, noteTask } from "../task/store.ts"
import { type Formats, type Preparation, prepareData, preparedPaths } from "./plugins.ts"
import { progressOf } from "./stores.ts"
import { openDownload } from "./web-download.ts"

export type ImportSource =
  | { method: "glance-direct" }
  | { method: "web-download"; uri: string }
  | {
      method: "glance-download"
      imageId: string
      problem: string | null
      /** Who is to have the data. Left out by a program that asked only once, and where there is a problem. */
      viewer?: ImageViewer
      properties: Record<string, string>
      diskFormat: string | null
      containerFormat: string | null
    }

export interface ImportParams {
  imageId: string
  taskId: string
  /** Name of the file in the staging area and, later, in the store. */
  file: string
  source: ImportSource
  limitBytes: number
  /** Left out by a program that knew one store, and had no plug-ins. */
  stores?: readonly string[]
  /** Whether one store that fails fails all; default. */
  mustAllSucceed?: boolean
  preparation?: Preparation
  /** The image was made for this import and goes with it when it fails. */
  isImageOwn: boolean
}

type Step = Pick<StepContext<ImportParams, object>, "ctx" | "params" | "signal" | "transact" | "log">

const fetchTimeoutMs = 6 * 3_600_000
const storeTimeoutMs = 6 * 3_600_000
/** Between two words to the task of how far it is. */
const noteEveryMs = 5_000
const mib = 1024 * 1024

const untouched: Preparation = { isDecompressed: false, convertTo: null, inject: {} }
const storesOf = ({ stores }: ImportParams) => stores ?? [mainStoreId]

export const importSaga: Saga<ImportParams> = saga<ImportParams>("image.image.import", 1)
  .step("fetch", {
    do: fetchData,
    undo: ({ ctx, params }) => removeAll(ctx, params),
    timeoutMs: fetchTimeoutMs,
  })
  .step("store", { do: storeData, timeoutMs: storeTimeoutMs })
  .step("activate", { do: (s) => activate(s, s.out.store) })
  .onUnwound(async ({ ctx, params, failure, transact }) => {
    await transact(async (tx) => {
      await endTask(tx, ctx, params.taskId, { status: "failure", message: failure.message })
      await tx
        .updateTable("image.image")
        .set({
          status: "queued",
          size_bytes: null,
          virtual_size_bytes: null,
          staged_file: null,
          properties: sql`(properties - ${importTaskProperty}::text) || ${JSON.stringify(
            progressOf([], storesOf(params)),
          )}::jsonb`,
          generation: sql`generation + 1`,
          updated_at: ctx.clock.now(),
        })
        .where("id", "=", params.imageId)
        .where("status", "=", "importing")
        .execute()
      if (params.isImageOwn) await discardImage(ctx, tx, params.imageId)
    })
  })

async function fetchData({
  ctx,
  params,
  signal,
  transact,
}: Pick<Step, "ctx" | "params" | "signal" | "transact">) {
  const { source, file } = params
  await transact((tx) => beginTask(tx, params.taskId, ctx.clock.now()))
  if (source.method === "glance-direct") return
  await ensureDirectories(ctx, mainStoreId)
  const target = stagingPath(ctx, file)
  await rm(target, { force: true })
  const data = await openSource({ ctx, params, signal }, target)
  if (data === null) return
  const written = await writeData(target, data, {
    reserveBytes: ctx.config.image.reserveBytes,
    limitBytes: params.limitBytes,
    onProgress: noteProgress({ ctx, params, signal, transact }),
  })
  await transact((tx) =>
    tx
      .updateTable("image.image")
      .set({ size_bytes: written.sizeBytes })
      .where("id", "=", params.imageId)
      .where("status", "=", "importing")
      .execute(),
  )
}

/** Null: the data are in the target already. */
async function openSource(
  { ctx, params, signal }: Pick<Step, "ctx" | "params" | "signal">,
  target: string,
): Promise<AsyncIterable<Uint8Array> | null> {
  const { source, limitBytes } = params
  if (source.method === "glance-direct") return null
  if (source.method === "web-download") {
    return await openDownload(source.uri, ctx.config, { signal, limitBytes })
  }
  if (source.problem) throw downloadFailed(source.imageId, source.problem)
  await checkSource(ctx, source)
  const opened = await openImageData(ctx, source.imageId)
  if ("stream" in opened) return opened.stream
  if (!(await tryLink(opened.path, target))) await copyFile(opened.path, target)
  return null
}

/** Much may have changed since it was asked for. */
async function checkSource(
  ctx: Platform,
  { imageId, viewer = everybody }: Extract<ImportSource, { method: "glance-download" }>,
): Promise<void> {
  const image = await findThing(ctx.db, imageNoun, viewer, imageId)
  if (!image) throw downloadFailed(imageId, "it is not there")
  if (image.status === "deactivated" && !viewer.seesAll)
    throw downloadFailed(imageId, dataDeactivated().message)
}

/** Gives up when the step is over, and tells the task now and then how far it is. */
function noteProgress({
  ctx,
  params,
  signal,
  transact,
}: Pick<Step, "ctx" | "params" | "signal" | "transact">) {
  let notedMs = ctx.clock.monotonicMs()
  return async (sizeBytes: number) => {
    signal.throwIfAborted()
    if (ctx.clock.monotonicMs() - notedMs < noteEveryMs) return
    notedMs = ctx.clock.monotonicMs()
    const message = `Copied ${Math.floor(sizeBytes / mib)} MiB`
    await transact((tx) => noteTask(tx, params.taskId, message, ctx.clock.now()))
  }
}

type Stored = Awaited<ReturnType<typeof takeFile>> & {
  /** Left out by a program that knew one store. */
  stores?: readonly string[]
  failed?: readonly string[]
  formats?: Formats
}

async function storeData({ ctx, params, signal, transact, log }: Step): Promise<Stored> {
  const { source, file, limitBytes, preparation = untouched } = params
  const row = await ctx.db
    .selectFrom("image.image")
    .select(["disk_format", "container_format", "properties"])
    .where("id", "=", params.imageId)
    .where("status", "=", "importing")
    .executeTakeFirst()
  if (!row) throw imageGone(params.imageId)
  const declared =
    source.method === "glance-download"
      ? { diskFormat: source.diskFormat, containerFormat: source.containerFormat }
      : { diskFormat: row.disk_format, containerFormat: row.container_format }
  // As they are stored: a signature over data that a plug-in changes cannot fit.
  const signature = await signatureOf(ctx, { ...row.properties, ...preparation.inject })
  await ensureDirectories(ctx, mainStoreId)
  const base = join(storePaths(ctx, mainStoreId).tmp, file)
  const work = { preparation, base, limitBytes, signal }
  const { path, formats } = await prepareData(ctx, stagingPath(ctx, file), declared, work)
  const stores = storesOf(params)
  const [done, failed]: [string[], string[]] = [[], []]
  let data: Awaited<ReturnType<typeof takeFile>> | undefined
  let failure: unknown
  for (const store of stores) {
    try {
      data = await storeIn(ctx, store, { file, from: path, formats, signature, signal })
      done.push(store)
    } catch (error) {
      signal.throwIfAborted()
      // What is refused for what it is, no store would take.
      if (params.mustAllSucceed !== false || dataRefused.is(error) || signatureRefused.is(error)) throw error
      log.warn(
        { store, imageId: params.imageId, err: describeError(error) },
        "an import did not reach a store",
      )
      failed.push(store)
      failure = error
    }
    const left = stores.slice(done.length + failed.length)
    await transact((tx) =>
      tx
        .updateTable("image.image")
        .set({
          properties: sql`properties || ${JSON.stringify(progressOf(left, failed))}::jsonb`,
          generation: sql`generation + 1`,
        })
        .where("id", "=", params.imageId)
        .where("status", "=", "importing")
        .execute(),
    )
  }
  if (data === undefined) throw failure
  return { ...data, stores: done, failed, formats }
}

interface Source {
  file: string
  from: string
  formats: Formats
  signature: StreamSignature | null
  signal: AbortSignal
}

async function storeIn(
  platform: Pick<Platform, "config">,
  store: string,
  { file, from, formats, ...options }: Source,
) {
  await ensureDirectories(platform, store)
  const paths = storePaths(platform, store)
  await rm(join(paths.tmp, file), { force: true })
  const data = await takeFile(platform, from, join(paths.tmp, file), formats, options)
  await publishFile(join(paths.tmp, file), join(paths.store, file))
  return data
}

async function activate(
  { ctx, params, transact }: Step,
  { stores = [mainStoreId], failed = [], formats, ...data }: Stored,
): Promise<void> {
  const { source, imageId, file, preparation = untouched } = params
  const isCopy = source.method === "glance-download"
  await transact(async (tx) => {
    // A second try of this step finds the image active with its own file.
    const isDone = await hasFile(tx, imageId, file)
    for (const store of stores) await addPlace(tx, imageId, { store, file }, ctx.clock.now())
    const image = await tx
      .updateTable("image.image")
      .set({
        ...activeColumns(data),
        ...(formats ? { disk_format: formats.diskFormat, container_format: formats.containerFormat } : {}),
        properties: sql`(properties - ${importTaskProperty}::text) || ${JSON.stringify({
          ...(isCopy ? source.properties : {}),
          ...preparation.inject,
          ...progressOf([], failed),
        })}::jsonb`,
        generation: sql`generation + 1`,
        updated_at: ctx.clock.now(),
      })
      .where("id", "=", imageId)
      .$if(!isDone, (q) => q.where("status", "=", "importing"))
      .returning(imageFields)
      .$castTo<Image>()
      .executeTakeFirst()
    if (!image) throw imageGone(imageId)
    // It counts already.
    await checkSizeQuota(ctx, tx, image, 0)
    await endTask(tx, ctx, params.taskId, { status: "success", result: { image_id: imageId } })
    await announceImage(tx, ctx, "activate", image)
  })
  // The image has its data: what is left of the way there must not undo that.
  await removeWork(ctx, file).catch((err: unknown) =>
    ctx.log.warn({ err, imageId }, "a staged file stays for now"),
  )
}

async function removeWork(platform: Pick<Platform, "config">, file: string): Promise<void> {
  const { plain, converted } = preparedPaths(join(storePaths(platform, mainStoreId).tmp, file))
  for (const path of [stagingPath(platform, file), plain, converted]) await rm(path, { force: true })
}

async function removeAll(ctx: Step["ctx"], params: ImportParams): Promise<void> {
  const { imageId, file } = params
  // It is an image's data by now, whatever failed after that.
  if (await hasFile(ctx.db, imageId, file)) return
  await removeUnnamed(ctx, storesOf(params), file)
  await removeWork(ctx, file)
}
