// The volume that a server boots from gets an image's data while the server has no machine. The service of servers
// takes the volume in the transaction that takes the server, and its saga has it until the data are there: meanwhile
// nobody copies it, extends it or gives it away. Which data a failure left nobody knows, so the volume is in error
// then; it may be begun again from there.
import type { SagaFailure } from "../../engine/saga/saga.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { clearKeyDoubt } from "../backup/key.ts"
import { volumeInvalid } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { statusBefore } from "../volume/extend.saga.ts"
import type { ReimageParams } from "../volume/reimage.saga.ts"
import { beginWriting, type ReimagePlan } from "../volume/reimage.ts"
import { changeVolume, lockVolume } from "../volume/store.ts"
import { abandonVolume, claimVolume, finishVolume, holdVolume } from "../volume/task.ts"
import { lockAttachments } from "./hold.ts"
import { statusByAttachments } from "./shared.ts"

/** Throws what forbids it: the volume's status, others who have it, an image that does not fit. */
export async function beginServerReimage(
  ctx: Ctx,
  tx: Tx,
  { volumeId, serverId }: { volumeId: string; serverId: string },
  image: ReimagePlan,
): Promise<ReimageParams> {
  const attachments = await lockAttachments(tx, volumeId)
  if (attachments.some((each) => each.serverId !== serverId))
    throw volumeInvalid("Cannot re-image a volume which is attached to more than one server.")
  const volume = await claimVolume(tx, volumeId, "reimageOfServer")
  ctx.policy.enforce(ctx.caller, "volume:reimage_reserved", targetOf(volume))
  return await beginWriting(ctx, tx, volume, image)
}

/** The server has it again, or nobody, if it was deleted meanwhile. */
export async function finishServerReimage(platform: Platform, tx: Tx, params: ReimageParams): Promise<void> {
  await holdVolume(tx, params)
  await clearKeyDoubt(tx, params.volumeId)
  const status = (await statusByAttachments(tx, params.volumeId)) ?? "available"
  const { imageMetadata, isBootable } = params
  await finishVolume(platform, tx, params, "reimage", { status, imageMetadata, isBootable })
}

/** Nothing has been written: it is what it was. Whoever has taken it since keeps it. */
export async function leaveServerReimage(tx: Tx, params: ReimageParams): Promise<void> {
  const volume = await lockVolume(tx, params.volumeId)
  if (volume) await changeVolume(tx, params, { status: statusBefore(volume) })
}

export async function abandonServerReimage(
  platform: Platform,
  tx: Tx,
  params: ReimageParams,
  failure: SagaFailure,
): Promise<void> {
  await abandonVolume(platform, tx, params, "reimage", { changes: { status: "error" }, failure })
}
