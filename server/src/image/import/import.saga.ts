// Brings data into an image: fetch them into the staging area, look at them, store them, make the image active.
// The file has the same name all the way (image id and the transfer id of the params), so every step finds what a
// crashed try left and does it again from the start.
import { copyFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import { type Saga, type StepContext, saga } from "../../engine/saga/saga.ts"
import { findDataPath } from "../data/download.ts"
import { ensureDirectories, publishFile, tryLink, writeData } from "../data/file-store.ts"
import { storeId, storePaths } from "../data/paths.ts"
import { activeColumns, checkSizeQuota } from "../data/transfer.ts"
import { downloadFailed, imageGone, imageNotFound } from "../faults.ts"
import { announceImage } from "../image/events.ts"
import type { Image } from "../image/image.ts"
import { imageFields } from "../image/store.ts"
import { discardImage, takeFile } from "../local/boot.ts"
import { beginTask, endTask } from "../task/store.ts"
import { openDownload } from "./web-download.ts"

export type ImportSource =
  | { method: "glance-direct" }
  | { method: "web-download"; uri: string }
  | {
      method: "glance-download"
      imageId: string
      problem: string | null
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
  /** The image was made for this import and goes with it when it fails. */
  isImageOwn: boolean
}

type Step = Pick<StepContext<ImportParams, object>, "ctx" | "params" | "signal" | "transact">

const fetchTimeoutMs = 6 * 3_600_000
const storeTimeoutMs = 3_600_000

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
          properties: sql`(properties - 'os_glance_import_task') || ${JSON.stringify({
            os_glance_importing_to_stores: "",
            os_glance_failed_import: storeId,
          })}::jsonb`,
          generation: sql`generation + 1`,
          updated_at: ctx.clock.now(),
        })
        .where("id", "=", params.imageId)
        .where("status", "=", "importing")
        .execute()
      if (params.isImageOwn) await discardImage(ctx, tx, params.imageId)
    })
  })

async function fetchData({ ctx, params, signal, transact }: Step): Promise<void> {
  const { source, file } = params
  await transact((tx) => beginTask(tx, params.taskId, ctx.clock.now()))
  if (source.method === "glance-direct") return
  await ensureDirectories(ctx)
  const target = join(storePaths(ctx).staging, file)
  await rm(target, { force: true })
  if (source.method === "glance-download") {
    if (source.problem) throw downloadFailed(source.imageId, source.problem)
    const path = await findDataPath(ctx, ctx.db, source.imageId)
    if (path === undefined) throw imageNotFound(source.imageId)
    if (!(await tryLink(path, target))) await copyFile(path, target)
    return
  }
  const { uri } = source
  const { limitBytes } = params
  const data = await openDownload(uri, ctx.config, { signal, limitBytes })
  const written = await writeData(target, data, {
    reserveBytes: ctx.config.image.reserveBytes,
    limitBytes,
    onProgress: () => signal.throwIfAborted(),
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

async function storeData({ ctx, params }: Step) {
  const { tmp, store, staging } = storePaths(ctx)
  const row = await ctx.db
    .selectFrom("image.image")
    .select(["disk_format", "container_format"])
    .where("id", "=", params.imageId)
    .where("status", "=", "importing")
    .executeTakeFirst()
  if (!row) throw imageGone(params.imageId)
  const { source } = params
  const declared =
    source.method === "glance-download"
      ? { diskFormat: source.diskFormat, containerFormat: source.containerFormat }
      : { diskFormat: row.disk_format, containerFormat: row.container_format }
  await ensureDirectories(ctx)
  await rm(join(tmp, params.file), { force: true })
  const data = await takeFile(ctx, join(staging, params.file), join(tmp, params.file), declared)
  await publishFile(join(tmp, params.file), join(store, params.file))
  return data
}

async function activate(
  { ctx, params, transact }: Step,
  data: Awaited<ReturnType<typeof storeData>>,
): Promise<void> {
  const { source, imageId } = params
  const isCopy = source.method === "glance-download"
  await transact(async (tx) => {
    const image = await tx
      .updateTable("image.image")
      .set({
        ...activeColumns({ ...data, dataFile: params.file }),
        ...(isCopy ? { disk_format: source.diskFormat, container_format: source.containerFormat } : {}),
        properties: sql`(properties - 'os_glance_import_task') || ${JSON.stringify({
          ...(isCopy ? source.properties : {}),
          os_glance_importing_to_stores: "",
          os_glance_failed_import: "",
        })}::jsonb`,
        generation: sql`generation + 1`,
        updated_at: ctx.clock.now(),
      })
      .where("id", "=", imageId)
      .where((eb) =>
        // A second try of this step finds the image active with its own file.
        eb.or([eb("status", "=", "importing"), eb("data_file", "=", params.file)]),
      )
      .returning(imageFields)
      .$castTo<Image>()
      .executeTakeFirst()
    if (!image) throw imageGone(imageId)
    // It counts already.
    await checkSizeQuota(ctx, tx, image, 0)
    await endTask(tx, ctx, params.taskId, { status: "success", result: { image_id: imageId } })
    await announceImage(tx, ctx, "activate", image)
  })
  // The image has its data: what is left of the staging area must not undo that. The reconciler removes it as well.
  await rm(join(storePaths(ctx).staging, params.file), { force: true }).catch((err: unknown) =>
    ctx.log.warn({ err, imageId }, "a staged file stays for now"),
  )
}

async function removeAll(ctx: Step["ctx"], params: ImportParams): Promise<void> {
  const { tmp, store, staging } = storePaths(ctx)
  const owner = await ctx.db
    .selectFrom("image.image")
    .select("id")
    .where("data_file", "=", params.file)
    .executeTakeFirst()
  // It is an image's data by now, whatever failed after that.
  if (owner) return
  for (const dir of [tmp, store, staging]) await rm(join(dir, params.file), { force: true })
}
