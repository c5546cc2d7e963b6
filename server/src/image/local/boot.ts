// What compute and block storage ask of images.
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { Readable } from "node:stream"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { afterCommit, type Tx, transact } from "../../platform/db/database.ts"
import type { StreamSignature } from "../../platform/hash/stream-hash.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { enforceQuota } from "../../quota/index.ts"
import { hashFile, publishFile, tryLink, type WrittenData, writeData } from "../data/file-store.ts"
import { type Inspection, inspectData } from "../data/inspect.ts"
import { storePaths } from "../data/paths.ts"
import { requeueDeadTransfers } from "../data/recover.ts"
import { isOfSignature } from "../data/signature.ts"
import { writableStore } from "../data/stores.ts"
import { beginTransfer, finishUpload, type Transfer } from "../data/transfer.ts"
import { guarded, receive } from "../data/upload.ts"
import { imageDataUnread, imageNotActive, imageNotFound } from "../faults.ts"
import { isFreeProperty } from "../image/attributes.ts"
import { visibilityRules } from "../image/create.ts"
import { removeImage, removeImageFiles } from "../image/delete.ts"
import { announceImage } from "../image/events.ts"
import { hasData, type Image, type Visibility } from "../image/image.ts"
import { checkMayHaveData, findImage, insertImage, lockImage, visibleImage } from "../image/store.ts"
import { imageQuota } from "../quota.ts"

export interface BootableImage {
  id: string
  /** Empty when it has none. */
  name: string
  status: "active" | "deactivated"
  /** md5 of the data. */
  checksum: string
  osHashValue: string
  diskFormat: string
  containerFormat: string
  sizeBytes: number
  /** Null when the data do not say. */
  virtualSizeBytes: number | null
  minDiskGib: number
  minRamMib: number
  properties: Record<string, string>
  ownerId: string | null
  visibility: Visibility
  /** Why no machine can boot it, if that is known already; the agent looks at the data again in any case. */
  problem: string | null
}

/**
 * An image that has data, which the caller may have. Faults: not found, not active, deactivated, data not read yet, and
 * what the policy says.
 */
export async function findBootableImage(ctx: Ctx, imageId: string): Promise<BootableImage> {
  const image = await visibleImage(ctx, imageId)
  checkMayHaveData(ctx, image)
  if (image.status !== "active" && image.status !== "deactivated") throw imageNotActive(imageId, image.status)
  if (image.readChecksum === "") throw imageDataUnread(imageId, image.contentProblem ?? "")
  return {
    id: image.id,
    name: image.name ?? "",
    status: image.status,
    checksum: image.readChecksum ?? image.checksum ?? "",
    osHashValue: image.osHashValue ?? "",
    diskFormat: image.diskFormat ?? "raw",
    containerFormat: image.containerFormat ?? "bare",
    sizeBytes: image.sizeBytes ?? 0,
    virtualSizeBytes: image.virtualSizeBytes,
    minDiskGib: image.minDiskGib,
    minRamMib: image.minRamMib,
    properties: image.properties,
    ownerId: image.projectId,
    visibility: image.visibility,
    problem: image.contentProblem,
  }
}

export interface ImageRecord {
  /** Chosen by the caller so that a repeated step finds its image again. */
  id?: string
  projectId: string | null
  name: string
  diskFormat: string
  containerFormat?: string
  visibility?: Visibility
  minDiskGib?: number
  minRamMib?: number
  isProtected?: boolean
  properties?: Record<string, string>
  tags?: string[]
}

/**
 * A queued image for data that the cloud itself will bring (a snapshot). Within `tx` when given. The caller has decided
 * that the project may; only the quota is asked, and the policy whether others may see it. Properties may come from
 * users or from another image: those that the cloud keeps for itself are left out, and the signature of other data.
 * Repeating it with the same id gives the same image.
 */
export async function createImageRecord(ctx: Ctx, record: ImageRecord, tx?: Tx): Promise<Image> {
  if (!tx) return await transact(ctx.db, (own) => createImageRecord(ctx, record, own))
  const { projectId } = record
  const before = record.id === undefined ? undefined : await findImage(tx, record.id)
  if (before && before.projectId === projectId) return before
  const { visibility = "private", properties = {} } = record
  const target = { project_id: projectId, owner: projectId, visibility }
  for (const [rule, of] of visibilityRules(visibility, target)) ctx.policy.enforce(ctx.caller, rule, of)
  if (projectId !== null) {
    await enforceQuota(ctx, tx, imageQuota, { projectId, add: { image_count_total: 1 } })
  }
  const image = await insertImage(
    tx,
    {
      id: record.id ?? newUuid(),
      projectId,
      name: record.name,
      visibility,
      diskFormat: record.diskFormat,
      containerFormat: record.containerFormat ?? "bare",
      minDiskGib: record.minDiskGib ?? 0,
      minRamMib: record.minRamMib ?? 0,
      isProtected: record.isProtected ?? false,
      isHidden: false,
      properties: Object.fromEntries(
        Object.entries(properties).filter(([name]) => isFreeProperty(name) && !isOfSignature(name)),
      ),
      tags: record.tags ?? [],
    },
    ctx.clock.now(),
  )
  await announceImage(tx, ctx, "create", image)
  return image
}

/**
 * Makes the file the data of a queued image. The file is linked into the store where that can be, so nobody may write
 * to it afterwards; removing it is the caller's affair. Repeating it once the image is active changes nothing.
 */
export async function storeImageFile(ctx: Ctx, imageId: string, path: string): Promise<Image> {
  return await storeOnce(ctx, imageId, (transfer, to) =>
    takeFile(ctx, path, to, transfer.image, { isOurs: true }),
  )
}

/** The same with data from another host, from their first byte on. Once the image is active they are not read. */
export async function storeImageStream(
  ctx: Ctx,
  imageId: string,
  { stream, sizeBytes }: { stream: Readable; sizeBytes: number | null },
): Promise<Image> {
  return await storeOnce(ctx, imageId, async (transfer, to) => {
    const written = await receive(ctx, transfer, { stream, sizeBytes }, to)
    return { ...written, ...(await inspectData(ctx, to, transfer.image, { isOurs: true })) }
  })
}

async function storeOnce(
  ctx: Ctx,
  imageId: string,
  take: (transfer: Transfer, to: string) => Promise<WrittenData & Inspection>,
): Promise<Image> {
  let image = await findImage(ctx.db, imageId)
  if (image?.status === "saving") {
    await requeueDeadTransfers(ctx)
    image = await findImage(ctx.db, imageId)
  }
  if (!image) throw imageNotFound(imageId)
  if (image.status === "active") return image
  const transfer = await beginTransfer(ctx, imageId, "saving")
  const { id: storeId } = writableStore(ctx, ctx.config.image.defaultStore)
  return await guarded(ctx, transfer, storeId, async (name) => {
    const { tmp, store } = storePaths(ctx, storeId)
    const data = await take(transfer, join(tmp, name))
    await publishFile(join(tmp, name), join(store, name))
    return await finishUpload(ctx, transfer, { ...data, store: storeId, file: name })
  })
}

/** Whether it is there with its data. */
export async function hasImageData({ db }: Pick<Platform, "db">, imageId: string): Promise<boolean> {
  const image = await findImage(db, imageId)
  return image !== undefined && hasData(image)
}

/** The data as a further file of ours, on the disk, hashed, compared with their signature and looked at. */
export async function takeFile(
  platform: Pick<Platform, "config">,
  from: string,
  to: string,
  declared: { diskFormat: string | null; containerFormat: string | null },
  options: TakeOptions = {},
) {
  const written = (await tryLink(from, to))
    ? await hashLinked(to, options)
    : await copyData(platform, from, to, options)
  return { ...written, ...(await inspectData(platform, to, declared, options)) }
}

interface TakeOptions {
  signal?: AbortSignal
  signature?: StreamSignature | null
  /** Made by the cloud itself. */
  isOurs?: boolean
}

async function hashLinked(path: string, { signature }: TakeOptions): Promise<WrittenData> {
  const handle = await open(path, "r")
  await handle.sync().finally(() => handle.close())
  return await hashFile(path, signature ?? null)
}

async function copyData(
  platform: Pick<Platform, "config">,
  from: string,
  to: string,
  { signal, signature = null }: TakeOptions,
): Promise<WrittenData> {
  return await writeData(to, createReadStream(from, { highWaterMark: 1024 * 1024 }), {
    limitBytes: Number.MAX_SAFE_INTEGER,
    reserveBytes: platform.config.image.reserveBytes,
    signature,
    onProgress: () => signal?.throwIfAborted(),
  })
}

/**
 * Removes an image whatever its state and protection: what the cloud itself made. Its files go after the commit; what
 * a crash leaves of them, the reconciler removes. Repeatable.
 */
export async function discardImage(ctx: Ctx, tx: Tx, imageId: string): Promise<void> {
  const image = await lockImage(tx, imageId)
  if (!image) return
  const gone = await removeImage(tx, ctx, image)
  afterCommit(tx, () => {
    void removeImageFiles(ctx, gone).catch((err: unknown) =>
      ctx.log.warn({ err, imageId }, "an image's file stays for now"),
    )
  })
}
