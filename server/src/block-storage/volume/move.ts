// A volume goes to another back end: the room there is taken with the claim, and what it leaves is given back when its
// row names the new place. Until then no other task takes it.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import { noValidBackend, volumeInvalid } from "../faults.ts"
import { claimPlace, giveBack, type Place } from "../pool/place.ts"
import { isSameShare } from "../pool/share.ts"
import { everything } from "../viewer.ts"
import { volumeTypeNoun } from "../volume-type/volume-type.ts"
import { placeOf } from "./extend.saga.ts"
import { handOverTo } from "./hand-over.ts"
import { moveVolumeSaga } from "./move.saga.ts"
import { notifyVolume } from "./notification.ts"
import { actorOf, advanceVolume, finishVolume } from "./task.ts"
import { type Volume, type VolumeStatus, volumeStatuses } from "./volume.ts"

export interface WantedMove {
  event: "migrate" | "retype"
  /** Null: the type that it has. */
  volumeTypeId: string | null
  /** From then on. */
  isMultiattach: boolean
  /** Nobody else does anything with it meanwhile, and its status says so. */
  isLocked: boolean
  /** Null: wherever its type may lie. */
  to: Place | null
}

/** Of one that is claimed for it. Throws `volumeInvalid` or `noValidBackend` with the reason. */
export async function beginMove(ctx: Ctx, tx: Tx, claimed: Volume, wanted: WantedMove): Promise<void> {
  const { event, volumeTypeId, isLocked, isMultiattach } = wanted
  const from = placeOf(claimed)
  const before = volumeStatuses.find((status) => status === claimed.previousStatus) ?? "available"
  if (wanted.to && (await isSameShare(tx, from, wanted.to)))
    return await moveWithinShare(ctx, tx, claimed, { ...wanted, to: wanted.to, before })
  const why = await whyNotMove(tx, claimed)
  if (why !== null) throw volumeInvalid(why)
  await checkOneHolder(tx, claimed)
  const to = await claimTarget(ctx, tx, claimed, { ...wanted, mayLeaveHost: before === "available" })
  if (await isSameShare(tx, from, to)) {
    // Nobody has asked this host whether a machine there still has it.
    if (to.host !== from.host)
      throw volumeInvalid(
        `Volume ${claimed.id} lies there already, as another host's: an administrator can migrate it.`,
      )
    // There is room for it already: its own.
    await giveBack(tx, to, claimed.sizeGib)
    return await moveWithinShare(ctx, tx, claimed, { ...wanted, to, before })
  }
  if (to.host !== from.host && before !== "available")
    throw volumeInvalid(
      `Volume ${claimed.id} must be available to be moved to another host; it is ${before}.`,
    )
  if (await hasLeftData(tx, claimed.id, to))
    throw volumeInvalid(
      `Volume ${claimed.id} has been there before, and its old data are still being removed.`,
    )
  const actor = actorOf(ctx)
  const task = { volumeId: claimed.id, generation: claimed.generation, ...actor }
  const volume = await advanceVolume(tx, task, {
    // One that a server has stays in use: its server sees nothing of it.
    ...(event === "migrate" && !(isLocked && before === "available") ? { status: before } : {}),
    target: { ...to, typeId: volumeTypeId },
    migrationStatus: "starting",
  })
  await notifyVolume(ctx, tx, volume, `${event}.start`, actor)
  const params = { ...task, event, from, to, volumeTypeId, isMultiattach }
  await ctx.sagas.start(tx, moveVolumeSaga, params, { requestId: ctx.requestId, resourceId: volume.id })
}

/** There, or where another host has the same storage. */
async function hasLeftData(tx: Tx, volumeId: string, { host, backend }: Place): Promise<boolean> {
  const { rows } = await sql`select from block_storage.leftover l
    where l.volume_id = ${volumeId} and (l.host = ${host} or exists (
      select from block_storage.pool p join block_storage.pool q on q.share = p.share
      where p.host = l.host and p.backend = l.backend and q.host = ${host} and q.backend = ${backend}))`.execute(
    tx,
  )
  return rows.length > 0
}

/** The data are there already, under the other place's name. */
async function moveWithinShare(
  ctx: Ctx,
  tx: Tx,
  claimed: Volume,
  { event, to, before, volumeTypeId, isMultiattach }: WantedMove & { to: Place; before: VolumeStatus },
): Promise<void> {
  if (before !== "available")
    throw volumeInvalid(
      `Volume ${claimed.id} must be available to be moved to another name of its back end; it is ${before}.`,
    )
  await handOverTo(tx, claimed, to)
  const actor = actorOf(ctx)
  const task = { volumeId: claimed.id, generation: claimed.generation, ...actor }
  await notifyVolume(ctx, tx, claimed, `${event}.start`, actor)
  await finishVolume(ctx, tx, task, event, {
    ...{ status: before, migrationStatus: "success" },
    ...(volumeTypeId === null ? {} : { volumeTypeId, isMultiattach }),
  })
}

/** What stands on the volume where it is, as it is; null: nothing. */
export async function whyNotMove(tx: Tx, { id, groupId, host }: Volume): Promise<string | null> {
  // All volumes of a group lie on one back end.
  if (groupId !== null) return `Volume ${id} must not be part of a group to be moved to another back end.`
  const { rows } = await sql<Record<"snapshots" | "copies" | "isElsewhere", boolean>>`select
    exists (select from block_storage.attachment a
      where a.volume_id = ${id} and a.is_of_server and a.host <> ${host}) as "isElsewhere",
    exists (select from block_storage.snapshot where volume_id = ${id}) as snapshots,
    exists (select from block_storage.volume where status = 'creating' and source_volume_id = ${id}) as copies`.execute(
    tx,
  )
  if (rows[0]?.isElsewhere) return `Volume ${id} must not be moved while a server on another host has it.`
  if (rows[0]?.snapshots)
    return `Volume ${id} must not have snapshots to be moved to another back end, or to be encrypted or not.`
  if (rows[0]?.copies) return `Volume ${id} is being copied to another volume; wait for that.`
  return null
}

/** On its own host, when there is a place. */
async function claimTarget(
  ctx: Ctx,
  tx: Tx,
  volume: Volume,
  { to, volumeTypeId, mayLeaveHost }: WantedMove & { mayLeaveHost: boolean },
): Promise<Place> {
  const typeId = volumeTypeId ?? volume.volumeTypeId
  const type = typeId === null ? undefined : await findThing(tx, volumeTypeNoun, everything, typeId)
  const wish = { sizeGib: volume.sizeGib, extraSpecs: type?.extraSpecs ?? {} }
  if (to !== null) return await claimPlace(ctx, tx, { ...wish, at: to })
  try {
    return await claimPlace(ctx, tx, { ...wish, host: volume.host })
  } catch (error) {
    if (!mayLeaveHost || !noValidBackend.is(error)) throw error
    return await claimPlace(ctx, tx, wish)
  }
}
