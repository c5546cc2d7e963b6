// A transfer is one writer of one image's data. It owns a state (`saving` for an upload, `uploading` for staging),
// has a lease that it renews as it moves, and writes a file of its own. Whoever is late (its lease was over, the image
// was deleted) finds another transfer's id in the row, removes its file and fails; nothing of its is ever seen.
import { sql } from "kysely"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { jsonb, type Tx, transact } from "../../platform/db/database.ts"
import { identifyProcess } from "../../platform/exec/process.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { checkRoom, enforceQuota, holdQuota, roomOf } from "../../quota/index.ts"
import { imageGone, imageNotFound, statusConflict } from "../faults.ts"
import { announceImage } from "../image/events.ts"
import type { Image } from "../image/image.ts"
import { findImage, imageFields } from "../image/store.ts"
import { addPlace } from "../location/rows.ts"
import { imageQuota } from "../quota.ts"
import type { WrittenData } from "./file-store.ts"
import type { Inspection } from "./inspect.ts"

const mib = 1024 * 1024

export interface Transfer {
  image: Image
  id: string
  state: "saving" | "uploading"
  /** Bytes that it may write: the bound for one image, or what is left of the quota. */
  limitBytes: number
}

/** Takes a queued image for writing. Of two at once exactly one gets it. */
export async function beginTransfer(ctx: Ctx, imageId: string, state: Transfer["state"]): Promise<Transfer> {
  const id = newUuid()
  const now = ctx.clock.now()
  return await transact(ctx.db, async (tx) => {
    const before = await findImage(tx, imageId)
    if (!before) throw imageNotFound(imageId)
    if (state === "saving") checkFormats(before)
    const limitBytes = await checkTransferQuota(tx, ctx, before, state)
    const image = await tx
      .updateTable("image.image")
      .set({
        status: state,
        transfer_id: id,
        transfer_host: ctx.config.host,
        transfer_process: jsonb(identifyProcess(process.pid)),
        transfer_seen_at: databaseNow,
        generation: sql`generation + 1`,
        updated_at: now,
      })
      .where("id", "=", imageId)
      .where("status", "=", "queued")
      .returning(imageFields)
      .$castTo<Image>()
      .executeTakeFirst()
    if (!image) throw statusConflict(before.status, state)
    if (state === "saving") await announceImage(tx, ctx, "prepare", image)
    return { image, id, state, limitBytes }
  })
}

function checkFormats(image: Image): void {
  const missing = [
    ...(image.diskFormat ? [] : ["disk_format"]),
    ...(image.containerFormat ? [] : ["container_format"]),
  ]
  if (missing.length === 0) return
  const [word, names] = [missing.length === 1 ? "Property" : "Properties", missing.join(", ")]
  throw invalid(missing[0] ?? "", `${word} ${names} must be set prior to saving data.`)
}

async function checkTransferQuota(tx: Tx, ctx: Ctx, image: Image, state: Transfer["state"]): Promise<number> {
  const most = ctx.config.image.sizeMaxBytes
  const { projectId } = image
  if (projectId === null) return most
  const total = state === "saving" ? "image_size_total" : "image_stage_total"
  const held = await holdQuota(ctx, tx, imageQuota, { projectId }, ["image_count_uploading", total])
  checkRoom(held, { image_count_uploading: 1 })
  return Math.max(0, Math.min(most, roomOf(held, total)))
}

/** Renews the lease at most this often. */
function renewalMs(platform: Platform): number {
  return platform.config.image.transferLeaseMs / 4
}

/** Keeps the lease while data move; throws when the transfer is no longer the one. */
export function leaseKeeper(ctx: Ctx, transfer: Transfer): () => Promise<void> {
  let renewedMs = ctx.clock.monotonicMs()
  return async () => {
    if (ctx.clock.monotonicMs() - renewedMs < renewalMs(ctx)) return
    renewedMs = ctx.clock.monotonicMs()
    const done = await ctx.db
      .updateTable("image.image")
      .set({ transfer_seen_at: databaseNow })
      .where("id", "=", transfer.image.id)
      .where("transfer_id", "=", transfer.id)
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) throw imageGone(transfer.image.id)
  }
}

/** One clock for every host that writes and every one that looks. */
const databaseNow = sql<Date>`clock_timestamp()`

const idle = { transfer_id: null, transfer_host: null, transfer_process: null, transfer_seen_at: null }

/** The image is active with these data. Throws `image.image.gone` when the transfer is no longer the one. */
export async function finishUpload(
  ctx: Ctx,
  transfer: Transfer,
  data: WrittenData & Inspection & { store: string; file: string },
): Promise<Image> {
  return await transact(ctx.db, async (tx) => {
    await checkSizeQuota(ctx, tx, transfer.image, data.sizeBytes)
    const now = ctx.clock.now()
    // First, so that the row below is read with it; when that is no longer ours, all of this is undone.
    await addPlace(tx, transfer.image.id, { store: data.store, file: data.file }, now)
    const image = await tx
      .updateTable("image.image")
      .set({ ...activeColumns(data), ...idle, generation: sql`generation + 1`, updated_at: now })
      .where("id", "=", transfer.image.id)
      .where("transfer_id", "=", transfer.id)
      .where("status", "=", "saving")
      .returning(imageFields)
      .$castTo<Image>()
      .executeTakeFirst()
    if (!image) throw imageGone(transfer.image.id)
    await announceImage(tx, ctx, "upload", image)
    await announceImage(tx, ctx, "activate", image)
    return image
  })
}

export function activeColumns(data: WrittenData & Inspection) {
  return {
    status: "active" as const,
    size_bytes: data.sizeBytes,
    virtual_size_bytes: data.virtualSizeBytes,
    checksum: data.checksum,
    os_hash_algo: data.osHashAlgo,
    os_hash_value: data.osHashValue,
    content_problem: data.problem,
    staged_file: null,
  }
}

/** Two uploads may each have found room; the second to end does not. */
export async function checkSizeQuota(ctx: Ctx, tx: Tx, image: Image, sizeBytes: number): Promise<void> {
  await enforceSize(ctx, tx, image, { image_size_total: Math.ceil(sizeBytes / mib) })
}

async function enforceSize(
  ctx: Ctx,
  tx: Tx,
  { projectId }: Image,
  add: { image_size_total: number } | { image_stage_total: number },
): Promise<void> {
  if (projectId !== null) await enforceQuota(ctx, tx, imageQuota, { projectId, add })
}

/** The data wait for an import. */
export async function finishStaging(
  ctx: Ctx,
  transfer: Transfer,
  staged: { sizeBytes: number; stagedFile: string },
): Promise<void> {
  await transact(ctx.db, async (tx) => {
    await enforceSize(ctx, tx, transfer.image, { image_stage_total: Math.ceil(staged.sizeBytes / mib) })
    const done = await tx
      .updateTable("image.image")
      .set({
        ...idle,
        size_bytes: staged.sizeBytes,
        staged_file: staged.stagedFile,
        generation: sql`generation + 1`,
        updated_at: ctx.clock.now(),
      })
      .where("id", "=", transfer.image.id)
      .where("transfer_id", "=", transfer.id)
      .where("status", "=", "uploading")
      .executeTakeFirst()
    if (done.numUpdatedRows === 0n) throw imageGone(transfer.image.id)
  })
}

/** Back to queued, so that the upload can be tried again. Nothing happens when the transfer is no longer the one. */
export async function abandonTransfer(ctx: Ctx, transfer: Transfer): Promise<void> {
  await ctx.db
    .updateTable("image.image")
    .set({
      ...idle,
      status: "queued",
      size_bytes: null,
      virtual_size_bytes: null,
      generation: sql`generation + 1`,
      updated_at: ctx.clock.now(),
    })
    .where("id", "=", transfer.image.id)
    .where("transfer_id", "=", transfer.id)
    .execute()
}
