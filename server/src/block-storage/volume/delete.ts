import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeInvalid, volumeNotFound } from "../faults.ts"
import type { SnapshotStatus } from "../snapshot/snapshot.ts"
import { claimWithVolume, lockSnapshotsOf } from "../snapshot/store.ts"
import { targetOf } from "../viewer.ts"
import { deleteVolumeSaga } from "./delete.saga.ts"
import { type Actor, notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { actorOf, claimVolume } from "./task.ts"
import type { Volume } from "./volume.ts"

export const deleteVolume = operation({
  name: "block_storage.volume.delete",
  input: Type.Object({
    id: Type.String(),
    /** With its snapshots. */
    isCascading: Type.Boolean(),
    /** Whatever its status. */
    isForced: Type.Boolean(),
  }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rules: ["volume:delete", "volume:force_delete", "volume_extension:volume_admin_actions:force_delete"],
  authorize: (_ctx, { isForced }, volume) => {
    const target = targetOf(volume)
    return isForced
      ? [["volume_extension:volume_admin_actions:force_delete", target]]
      : [["volume:delete", target]]
  },
  run: async (ctx, { id, isCascading, isForced }) => {
    await transact(ctx.db, async (tx) => {
      await beginDelete(ctx, tx, id, { isCascading, isForced, actor: actorOf(ctx) })
    })
  },
})

interface How {
  isCascading: boolean
  isForced: boolean
  actor: Actor
}

/** Takes the volume and its snapshots, from their status to `deleting`; the saga removes data and rows. */
export async function beginDelete(ctx: Ctx, tx: Tx, volumeId: string, how: How): Promise<Volume> {
  const volume = await claimVolume(tx, volumeId, how.isForced ? "forceDelete" : "delete")
  const snapshots = await lockSnapshotsOf(tx, volumeId)
  const why = await whyNotDelete(tx, volume, how)
  if (why !== null) throw volumeInvalid(why)
  await claimWithVolume(tx, snapshots)
  await notifyVolume(ctx, tx, volume, "delete.start", how.actor)
  // By name: whoever deletes may have more to say of itself.
  const { requestId, userId, projectId } = how.actor
  const { isCascading } = how
  const params = { volumeId, generation: volume.generation, requestId, userId, projectId, isCascading }
  await ctx.sagas.start(tx, deleteVolumeSaga, params, { requestId: ctx.requestId, resourceId: volumeId })
  return volume
}

/** What a snapshot is in when somebody needs its data. One that goes anyway may go with the volume. */
const busyStatuses: readonly SnapshotStatus[] = ["creating", "backing-up", "unmanaging"]

/** What stands on the volume; null: nothing. */
export async function whyNotDelete(
  tx: Tx,
  { id, projectId, groupId }: Volume,
  {
    isCascading,
    isForced,
    isWithGroup = false,
  }: Pick<How, "isCascading" | "isForced"> & { isWithGroup?: boolean },
): Promise<string | null> {
  if (groupId !== null && !isWithGroup)
    return `Volume ${id} must not belong to a group: take it out of group ${groupId}, or delete that with its volumes.`
  const { rows } = await sql<
    Record<"attached" | "snapshots" | "foreign" | "grouped" | "busy" | "copies", boolean>
  >`select
    exists (select from block_storage.snapshot where volume_id = ${id} and group_snapshot_id is not null) as grouped,
    exists (select from block_storage.attachment where volume_id = ${id}
      and (${!isForced} or is_of_server)) as attached,
    exists (select from block_storage.snapshot where volume_id = ${id}) as snapshots,
    exists (select from block_storage.snapshot where volume_id = ${id} and project_id <> ${projectId}) as "foreign",
    exists (select from block_storage.snapshot s where s.volume_id = ${id}
      and (s.status = any(${isForced ? busyStatuses : [...busyStatuses, "deleting"]}::text[])
      or exists (select from block_storage.volume v where v.status = 'creating' and v.snapshot_id = s.id))) as busy,
    exists (select from block_storage.volume where status = 'creating' and source_volume_id = ${id}) as copies`.execute(
    tx,
  )
  const [found] = rows
  if (found?.attached) return `Volume ${id} is still attached, detach volume first.`
  if (found?.copies) return `Volume ${id} is being copied to another volume; wait for that.`
  if (found?.snapshots && !isCascading)
    return (
      `Volume ${id} status must be available or error and must not have snapshots: ` +
      "delete these first, or ask for cascade."
    )
  if (found?.grouped) return `Volume ${id} has a snapshot of a group snapshot: delete that first.`
  // Whoever has given the volume away has kept them.
  if (found?.foreign) return `Volume ${id} has snapshots of another project, which alone deletes them.`
  if (found?.busy) return `A snapshot of volume ${id} is on its way; wait for that.`
  return null
}
