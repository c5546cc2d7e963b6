import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { volumeInvalid } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { whyNotDelete } from "../volume/delete.ts"
import { notifyVolume } from "../volume/notification.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { deleteGroupSaga } from "./delete.saga.ts"
import { groupInvalid, groupNotFound } from "./faults.ts"
import { groupStatuses } from "./group.ts"
import { notifyGroup } from "./notification.ts"
import { visibleGroup } from "./read.ts"
import { claimGroup, lockVolumesOf } from "./store.ts"

export const deleteGroup = operation({
  name: "block_storage.group.delete",
  input: Type.Object({
    id: Type.String(),
    /** With its volumes, and whatever its status. */
    deletesVolumes: Type.Boolean(),
  }),
  faults: [groupNotFound, groupInvalid, volumeInvalid],
  load: (ctx, { id }) => visibleGroup(ctx, id),
  rule: "group:delete",
  target: (_ctx, _input, group) => targetOf(group),
  run: async (ctx, { id, deletesVolumes }) => {
    await transact(ctx.db, async (tx) => {
      const from = deletesVolumes ? groupStatuses : (["available", "error"] as const)
      const group = await claimGroup(tx, id, from, "deleting")
      const volumes = await lockVolumesOf(tx, id)
      const why = await whyNotDeleteGroup(tx, id, { volumes, deletesVolumes })
      if (why !== null) throw groupInvalid(why)
      const actor = actorOf(ctx)
      await notifyGroup(ctx, tx, group, "delete.start", actor)
      const taken: { volumeId: string; generation: number }[] = []
      for (const { id: volumeId } of volumes) {
        const volume = await claimVolume(tx, volumeId, "deleteWithGroup")
        const reason = await whyNotDelete(tx, volume, {
          isCascading: false,
          isForced: false,
          isWithGroup: true,
        })
        if (reason !== null) throw groupInvalid(reason)
        await notifyVolume(ctx, tx, volume, "delete.start", actor)
        taken.push({ volumeId, generation: volume.generation })
      }
      const params = { groupId: id, generation: group.generation, ...actor, volumes: taken }
      await ctx.sagas.start(tx, deleteGroupSaga, params, { requestId: ctx.requestId, resourceId: id })
    })
  },
})

async function whyNotDeleteGroup(
  tx: Tx,
  id: string,
  { volumes, deletesVolumes }: { volumes: readonly Volume[]; deletesVolumes: boolean },
): Promise<string | null> {
  const { rows } = await sql<{ hasSnapshots: boolean }>`select
    exists (select from block_storage.group_snapshot where group_id = ${id}) as "hasSnapshots"`.execute(tx)
  if (rows[0]?.hasSnapshots) return "Group has existing snapshots."
  if (volumes.length > 0 && !deletesVolumes)
    return `Group ${id} still contains volumes. The delete-volumes flag is required to delete it.`
  const held = ["reserved", "attaching", "in-use", "detaching"]
  if (volumes.some(({ status }) => held.includes(status)))
    return `Volume in group ${id} is attached. Need to detach first.`
  return null
}
