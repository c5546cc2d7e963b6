import { rm } from "node:fs/promises"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { StreamSignature } from "../../platform/hash/stream-hash.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  dataIncomplete,
  dataRefused,
  dataTooLarge,
  imageGone,
  imageNotFound,
  signatureRefused,
  statusConflict,
  storeFull,
  storeReadOnly,
  storeUnknown,
} from "../faults.ts"
import type { Image } from "../image/image.ts"
import { imageTarget, visibleImage } from "../image/store.ts"
import { ensureDirectories, publishFile, type WrittenData, writeData } from "./file-store.ts"
import { inspectData } from "./inspect.ts"
import { fileName, storePaths } from "./paths.ts"
import { signatureOf } from "./signature.ts"
import { mainStoreId, writableStore } from "./stores.ts"
import {
  abandonTransfer,
  beginTransfer,
  finishStaging,
  finishUpload,
  leaseKeeper,
  type Transfer,
} from "./transfer.ts"

const Source = Type.Object({
  imageId: Type.String(),
  /** The bytes. Not part of what is checked: a stream has no schema. */
  stream: Type.Unsafe<Readable>(Type.Any()),
  /** How long it is, if the sender said so. */
  sizeBytes: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
})

const faults = [
  imageNotFound,
  imageGone,
  statusConflict,
  dataTooLarge,
  dataIncomplete,
  dataRefused,
  signatureRefused,
  storeFull,
  storeReadOnly,
  storeUnknown,
  quotaExceeded,
]

/** Stores the data of a queued image; it is active when this returns, and the data are on the disk. */
export const uploadImage = operation({
  name: "image.data.upload",
  input: Type.Object({ ...Source.properties, store: Type.Optional(Type.String()) }),
  faults,
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "upload_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { stream, sizeBytes, imageId, store: wanted }): Promise<Image> => {
    const { id: storeId } = writableStore(ctx, wanted ?? ctx.config.image.defaultStore)
    const transfer = await beginTransfer(ctx, imageId, "saving")
    return await guarded(ctx, transfer, storeId, async (name) => {
      const { tmp, store } = storePaths(ctx, storeId)
      const signature = await signatureOf(ctx, transfer.image.properties)
      const written = await receive(ctx, transfer, { stream, sizeBytes, signature }, join(tmp, name))
      const inspection = await inspectData(ctx, join(tmp, name), transfer.image)
      await publishFile(join(tmp, name), join(store, name))
      return await finishUpload(ctx, transfer, { ...written, ...inspection, store: storeId, file: name })
    })
  },
})

/** Keeps the data of a queued image aside, for an import that follows. */
export const stageImage = operation({
  name: "image.data.stage",
  input: Source,
  faults,
  load: (ctx, { imageId }) => visibleImage(ctx, imageId),
  rule: "modify_image",
  target: (_ctx, _input, found) => imageTarget(found),
  run: async (ctx, { stream, sizeBytes, imageId }): Promise<void> => {
    const transfer = await beginTransfer(ctx, imageId, "uploading")
    await guarded(ctx, transfer, mainStoreId, async (name) => {
      const { tmp, staging } = storePaths(ctx, mainStoreId)
      const written = await receive(ctx, transfer, { stream, sizeBytes }, join(tmp, name))
      await publishFile(join(tmp, name), join(staging, name))
      await finishStaging(ctx, transfer, { sizeBytes: written.sizeBytes, stagedFile: name })
    })
  },
})

/** Runs a transfer with a file name of its own; on failure the image is queued again and no file stays. */
export async function guarded<T>(
  ctx: Ctx,
  transfer: Transfer,
  storeId: string,
  run: (name: string) => Promise<T>,
): Promise<T> {
  const name = fileName(transfer.image.id, transfer.id)
  try {
    await ensureDirectories(ctx, storeId)
    return await run(name)
  } catch (error) {
    // The row first: when even that fails, the lease ends and the reconciler does both.
    await abandonTransfer(ctx, transfer)
    const { tmp, store, staging } = storePaths(ctx, storeId)
    for (const dir of [tmp, store, staging]) await rm(join(dir, name), { force: true })
    // Its file was taken away under it: the image is no more, or another transfer has it.
    throw error instanceof Error && "code" in error && error.code === "ENOENT"
      ? imageGone(transfer.image.id)
      : error
  }
}

/** Writes the bytes as they come, within the limits of the transfer, whose lease it keeps. */
export async function receive(
  ctx: Ctx,
  transfer: Transfer,
  source: { stream: Readable; sizeBytes: number | null; signature?: StreamSignature | null },
  path: string,
): Promise<WrittenData> {
  const { stream, sizeBytes: announced, signature = null } = source
  if (announced !== null && announced > transfer.limitBytes) throw dataTooLarge(transfer.limitBytes)
  const keepLease = leaseKeeper(ctx, transfer)
  let received = 0
  let written: WrittenData
  try {
    // Not destroyed when we stop reading: the connection still has to carry the answer.
    written = await writeData(path, stream.iterator({ destroyOnReturn: false }), {
      limitBytes: transfer.limitBytes,
      reserveBytes: ctx.config.image.reserveBytes,
      signature,
      onProgress: async (sizeBytes) => {
        received = sizeBytes
        await keepLease()
      },
    })
  } catch (error) {
    // A sender that went away in the middle shows as an aborted stream.
    if (error instanceof Fault || !stream.destroyed) throw error
    throw dataIncomplete(received, announced)
  }
  if (announced !== null && written.sizeBytes !== announced)
    throw dataIncomplete(written.sizeBytes, announced)
  return written
}
