import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import { volumeInvalid } from "../faults.ts"
import { groupInvalid, groupNotFound } from "../group/faults.ts"
import type { Group } from "../group/group.ts"
import { asksOneMoment } from "../group/one-moment.ts"
import { visibleGroup } from "../group/read.ts"
import { lockGroup, lockVolumesOf } from "../group/store.ts"
import { enforceTypesQuota } from "../quota/of-types.ts"
import { insertSnapshotRow, placeToSnapshot } from "../snapshot/insert.ts"
import { notifySnapshot } from "../snapshot/notification.ts"
import { everything, targetOf } from "../viewer.ts"
import type { Actor } from "../volume/notification.ts"
import { actorOf } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { createGroupSnapshotSaga } from "./create.saga.ts"
import { type GroupSnapshot, groupSnapshotNoun } from "./group-snapshot.ts"
import { notifyGroupSnapshot } from "./notification.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export const createGroupSnapshot = operation({
  name: "block_storage.group_snapshot.create",
  input: Type.Object({ groupId: Type.String(), name: nullableText, description: nullableText }),
  faults: [groupNotFound, groupInvalid, volumeInvalid, quotaExceeded],
  load: (ctx, { groupId }) => visibleGroup(ctx, groupId),
  rule: "group:create_group_snapshot",
  target: (_ctx, _input, group) => targetOf(group),
  run: async (ctx, { groupId, name, description }) =>
    await transact(ctx.db, async (tx) => {
      const group = await lockGroup(tx, groupId)
      const volumes = await lockVolumesOf(tx, groupId)
      checkSource(group, volumes)
      for (const volume of volumes) {
        placeToSnapshot(volume, mayBe)
        await checkOneHolder(tx, volume)
      }
      const volumeIds = volumes.map(({ id }) => id)
      const isOfOneMoment = await asksOneMoment(tx, group, volumeIds)
      const { projectId } = group
      const gigabytes = volumes.reduce((sum, { sizeGib }) => sum + sizeGib, 0)
      await enforceTypesQuota(ctx, tx, {
        projectId,
        add: { snapshots: volumes.length, gigabytes },
        ofTypes: volumes.map(({ volumeTypeId: typeId, sizeGib }) => {
          return { typeId, add: { snapshots: 1, gigabytes: sizeGib } }
        }),
      })
      const actor = actorOf(ctx)
      const made = await insertThing(tx, groupSnapshotNoun, everything, {
        values: {
          id: newUuid(),
          group_id: groupId,
          project_id: projectId,
          user_id: ctx.caller.userId,
          name,
          description,
          status: "creating",
          group_type_id: group.groupTypeId,
          created_at: ctx.clock.now(),
        },
      })
      if (!made) throw new Error("the id of a new group snapshot is taken")
      await notifyGroupSnapshot(ctx, tx, made, "create.start", actor)
      const snapshots = await insertSnapshots(ctx, tx, made, volumes, actor)
      const { id: groupSnapshotId, generation } = made
      const params = { groupSnapshotId, generation, ...actor, snapshots, isOfOneMoment }
      await ctx.sagas.start(tx, createGroupSnapshotSaga, params, {
        requestId: ctx.requestId,
        resourceId: groupSnapshotId,
      })
      return made
    }),
})

/** Volumes of which a snapshot is taken. */
const mayBe = ["available", "in-use"] as const

function checkSource({ status }: Group, volumes: readonly Volume[]): void {
  if (["creating", "updating", "deleting"].includes(status) || volumes.length === 0)
    throw groupInvalid(
      "Source group cannot be empty or in 'creating' or 'updating' state. No group snapshot will be created.",
    )
}

/** One of each volume, called as the whole is. */
async function insertSnapshots(
  ctx: Ctx,
  tx: Tx,
  { id: groupSnapshotId, name, description }: GroupSnapshot,
  volumes: readonly Volume[],
  actor: Actor,
): Promise<{ snapshotId: string; generation: number }[]> {
  const taken: { snapshotId: string; generation: number }[] = []
  for (const volume of volumes) {
    const { id: volumeId, projectId, sizeGib } = volume
    const row = { ...placeToSnapshot(volume, mayBe), volumeId, projectId, name, description, sizeGib }
    const snapshot = await insertSnapshotRow(ctx, tx, { ...row, metadata: {}, groupSnapshotId })
    await notifySnapshot(ctx, tx, snapshot, "create.start", actor)
    taken.push({ snapshotId: snapshot.id, generation: snapshot.generation })
  }
  return taken
}
