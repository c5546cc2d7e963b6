// Starting an import. The claim on the image, the task and the saga commit together.
import { sql } from "kysely"
import { type Static, Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { Fault, invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { checkRoom, holdQuota, quotaExceeded, roomOf } from "../../quota/index.ts"
import { fileName, readFileName } from "../data/paths.ts"
import { imageNotFound, importNotPossible, importUnderway, storeReadOnly } from "../faults.ts"
import { hasData, type Image, importTaskProperty } from "../image/image.ts"
import {
  checkMayHaveData,
  imageFields,
  imageTarget,
  imageViewerOf,
  isImageId,
  visibleImage,
} from "../image/store.ts"
import { imageQuota } from "../quota.ts"
import { insertTask } from "../task/store.ts"
import type { Task, TaskType } from "../task/task.ts"
import { copyImage } from "./copy.ts"
import { type ImportSource, importSaga } from "./import.saga.ts"
import { preparationOf } from "./plugins.ts"
import { chosenStores, progressOf } from "./stores.ts"
import { isWebAddress } from "./web-download.ts"

export const importMethods = ["glance-direct", "web-download", "glance-download", "copy-image"] as const
export type ImportMethod = (typeof importMethods)[number]

const Input = Type.Object({
  imageId: Type.String(),
  method: Type.Union([
    Type.Object({ name: Type.Literal("glance-direct") }),
    Type.Object({ name: Type.Literal("web-download"), uri: Type.String() }),
    Type.Object({
      name: Type.Literal("glance-download"),
      sourceImageId: Type.String(),
      region: Type.String(),
      interface: Type.String(),
    }),
    Type.Object({ name: Type.Literal("copy-image") }),
  ]),
  /** Null: the default store. */
  stores: Type.Union([Type.Array(Type.String()), Type.Null()]),
  /** Every store that takes data, instead. */
  isAllStores: Type.Boolean(),
  /** Whether one store that fails fails all. */
  mustAllSucceed: Type.Boolean(),
  /** The request as it came, kept with the task. */
  request: Type.Record(Type.String(), Type.Unknown()),
})
type ImportInput = Static<typeof Input>

/**
 * Fills an image from data that were staged, that lie on the web, or that another image has; or copies the data of an
 * active one into further stores. Null: they are in all of them.
 */
export const importImage = operation({
  name: "image.image.import",
  input: Input,
  faults: [imageNotFound, importNotPossible, importUnderway, quotaExceeded, storeReadOnly],
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rules: ["modify_image", "copy_image"],
  authorize: (_ctx, { method }, image) => {
    checkState(image, method.name)
    return [[method.name === "copy-image" ? "copy_image" : "modify_image", imageTarget(image)]]
  },
  run: async (ctx, input, image): Promise<Task | null> => {
    const { method, request, mustAllSucceed } = input
    const wish = { stores: input.stores, isAll: input.isAllStores }
    if (method.name === "copy-image") return await copyImage(ctx, image, { ...wish, mustAllSucceed, request })
    const stores = chosenStores(ctx, wish)
    const source = await readSource(ctx, method)
    return await transact(ctx.db, (tx) =>
      startImport(tx, ctx, {
        image,
        source,
        type: "api_image_import",
        input: { image_id: image.id, import_req: request, backend: stores },
        stores,
        mustAllSucceed,
        isImageOwn: false,
      }),
    )
  },
})

function checkState(image: Image, method: ImportMethod): void {
  if (method === "copy-image") {
    if (image.status === "active") return
    throw importNotPossible("Only images with status active can be targeted for copying")
  }
  if (image.status === "active")
    throw importNotPossible("Image with status active cannot be target for import")
  if (image.status === "importing") throw importUnderway(image.id)
  if (method === "glance-direct" && image.status !== "uploading")
    throw importNotPossible("Image needs to be staged before 'glance-direct' method can be used")
  if (method !== "glance-direct" && image.status !== "queued")
    throw importNotPossible(`Image needs to be in 'queued' state to use '${method}' method`)
  if (!image.containerFormat) throw importNotPossible("'container_format' needs to be set before import")
  if (!image.diskFormat) throw importNotPossible("'disk_format' needs to be set before import")
}

type FillMethod = Exclude<ImportInput["method"], { name: "copy-image" }>

async function readSource(ctx: Ctx, method: FillMethod): Promise<ImportSource> {
  switch (method.name) {
    case "glance-direct":
      return { method: "glance-direct" }
    case "web-download":
      if (!isWebAddress(method.uri))
        throw invalid("uri", `URI for web-download does not pass filtering: ${method.uri}`)
      return { method: "web-download", uri: method.uri }
    case "glance-download":
      return await readOtherImage(ctx, method)
  }
}

/** Of the properties of another image those that say how to run it are taken over. */
const copiedPrefixes = ["hw_", "trait:", "os_distro", "os_secure_boot", "os_type"]
const interfaces = new Set(["public", "internal", "admin"])

async function readOtherImage(
  ctx: Ctx,
  method: Extract<FillMethod, { name: "glance-download" }>,
): Promise<ImportSource> {
  const imageId = method.sourceImageId
  if (!isImageId(imageId))
    throw invalid("glance_image_id", `Remote image id does not look like a UUID: ${imageId}`)
  const nothing = { properties: {}, diskFormat: null, containerFormat: null }
  const failing = (problem: string): ImportSource => ({
    method: "glance-download",
    imageId,
    problem,
    ...nothing,
  })
  // What is wrong with the other side shows in the task, as it would when it were another cloud.
  if (method.region !== ctx.config.region)
    return failing(`there is no region ${method.region}; the region is ${ctx.config.region}`)
  if (!interfaces.has(method.interface)) return failing(`there is no interface ${method.interface}`)
  try {
    const image = await visibleImage(ctx, imageId)
    if (!hasData(image)) return failing(`image ${imageId} is ${image.status}`)
    checkMayHaveData(ctx, image)
    const properties = Object.entries(image.properties).filter(([key]) =>
      copiedPrefixes.some((prefix) => key.startsWith(prefix)),
    )
    return {
      method: "glance-download",
      imageId,
      problem: null,
      viewer: imageViewerOf(ctx),
      properties: Object.fromEntries(properties),
      diskFormat: image.diskFormat,
      containerFormat: image.containerFormat,
    }
  } catch (error) {
    const isRefused = error instanceof Fault && (error.kind === "not_found" || error.kind === "forbidden")
    if (isRefused) return failing(error.message)
    throw error
  }
}

/** Claims the image for an import; of two at once exactly one gets it. */
export async function startImport(
  tx: Tx,
  ctx: Ctx,
  wanted: {
    image: Image
    source: ImportSource
    type: TaskType
    input: Record<string, unknown>
    stores: readonly string[]
    mustAllSucceed: boolean
    isImageOwn: boolean
  },
): Promise<Task> {
  const { image, source, stores } = wanted
  const taskId = newUuid()
  const now = ctx.clock.now()
  const isStaged = source.method === "glance-direct"
  const limitBytes = await importLimit(tx, ctx, image.projectId, stores.length)
  const ownFile = fileName(image.id, newUuid())
  const row = await tx
    .updateTable("image.image")
    .set({
      status: "importing",
      ...(isStaged ? {} : { staged_file: ownFile }),
      properties: sql`properties || ${JSON.stringify({
        [importTaskProperty]: taskId,
        ...progressOf(stores, []),
      })}::jsonb`,
      generation: sql`generation + 1`,
      updated_at: now,
    })
    .where("id", "=", image.id)
    .where("status", "=", isStaged ? "uploading" : "queued")
    // While data are still being staged there is nothing to import.
    .where("transfer_id", "is", null)
    .$if(isStaged, (q) => q.where("staged_file", "is not", null))
    .returning([...imageFields, "staged_file"])
    .$castTo<Image & { staged_file: string | null }>()
    .executeTakeFirst()
  if (!row) throw importUnderway(image.id)
  const file = row.staged_file ?? ownFile
  if (!readFileName(file)) throw new Error(`image ${image.id} has no staged file`)
  const task = await insertTask(
    tx,
    {
      id: taskId,
      type: wanted.type,
      projectId: ctx.caller.projectId,
      userId: ctx.caller.userId,
      requestId: ctx.requestId,
      imageId: row.id,
      input: wanted.input,
    },
    now,
  )
  await ctx.sagas.start(
    tx,
    importSaga,
    {
      ...{ imageId: image.id, taskId, file, source, limitBytes, stores },
      mustAllSucceed: wanted.mustAllSucceed,
      preparation: preparationOf(ctx),
      isImageOwn: wanted.isImageOwn,
    },
    { requestId: ctx.requestId, resourceId: image.id },
  )
  return task
}

/** Bytes that the data may have, of which each store is to have a copy. */
async function importLimit(tx: Tx, ctx: Ctx, projectId: string | null, copies: number): Promise<number> {
  const most = ctx.config.image.sizeMaxBytes
  if (projectId === null) return most
  const held = await holdQuota(ctx, tx, imageQuota, { projectId }, ["image_size_total"])
  checkRoom(held, { image_size_total: 1 })
  return Math.min(most, Math.floor(roomOf(held, "image_size_total") / copies))
}
