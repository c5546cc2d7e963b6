// What users change of a group: nothing of that takes time.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { word } from "../../platform/schema/make.ts"
import { inputInvalid, volumeInvalid } from "../faults.ts"
import { everything, targetOf } from "../viewer.ts"
import { movingRefusal } from "../volume/state.ts"
import { lockVolume } from "../volume/store.ts"
import { actorOf } from "../volume/task.ts"
import { groupInvalid, groupNotFound } from "./faults.ts"
import { type Group, groupNoun, groupStatuses } from "./group.ts"
import { holdRoomInGroup } from "./member.ts"
import { notifyGroup } from "./notification.ts"
import { visibleGroup } from "./read.ts"
import { lockGroup } from "./store.ts"

const VolumeIds = Type.Array(Type.String({ maxLength: 255 }), { maxItems: 256 })

export const updateGroup = operation({
  name: "block_storage.group.update",
  input: Type.Object({
    id: Type.String(),
    changes: groupNoun.changes,
    addVolumes: VolumeIds,
    removeVolumes: VolumeIds,
  }),
  faults: [groupNotFound, groupInvalid, volumeInvalid, inputInvalid],
  load: (ctx, { id }) => visibleGroup(ctx, id),
  rule: "group:update",
  target: (_ctx, _input, group) => targetOf(group),
  run: async (ctx, { id, changes: { name, description }, addVolumes, removeVolumes }) => {
    const both = addVolumes.filter((volumeId) => removeVolumes.includes(volumeId))
    if (both.length > 0)
      throw volumeInvalid(`UUIDs ${both.join(", ")} are in both add and remove volume list.`)
    return await transact(ctx.db, async (tx) => {
      const group = await lockGroup(tx, id)
      const isSame =
        (name ?? group.name) === group.name && (description ?? group.description) === group.description
      if (isSame && addVolumes.length === 0 && removeVolumes.length === 0)
        throw groupInvalid(
          `Cannot update group ${id} because no valid name, description, add_volumes, or remove_volumes were provided.`,
        )
      if (addVolumes.length + removeVolumes.length > 0) {
        if (group.status !== "available") throw groupInvalid("Group status must be available.")
        // Those that go make room for those that come.
        for (const volumeId of removeVolumes.toSorted()) await removeOne(tx, group, volumeId)
        for (const volumeId of addVolumes.toSorted()) await addOne(ctx, tx, group, volumeId)
      }
      const values = {
        name: name ?? undefined,
        description: description ?? undefined,
        updated_at: ctx.clock.now(),
      }
      const changed = await updateThing(tx, groupNoun, everything, id, values)
      if (!changed) throw groupNotFound(id)
      await notifyGroup(ctx, tx, changed, "update.end", actorOf(ctx))
      return changed
    })
  },
})

const mayLeave = ["available", "in-use", "error", "error_deleting"]
const mayCome = ["available", "in-use"]

async function removeOne(tx: Tx, { id }: Group, volumeId: string): Promise<void> {
  const volume = await lockedVolume(tx, volumeId)
  const refused = `Cannot remove volume ${volumeId} from group ${id} because`
  if (volume?.groupId !== id) throw volumeInvalid(`${refused} it is not in the group.`)
  if (!mayLeave.includes(volume.status))
    throw volumeInvalid(
      `${refused} volume is in an invalid state: ${volume.status}. Valid states are: ${mayLeave.join(", ")}.`,
    )
  await setGroup(tx, volumeId, null)
}

async function addOne(ctx: Ctx, tx: Tx, group: Group, volumeId: string): Promise<void> {
  const { id } = group
  const refused = `Cannot add volume ${volumeId} to group ${id} because`
  const volume = await lockedVolume(tx, volumeId)
  // Another project's is as if there were none.
  if (volume?.projectId !== group.projectId) throw volumeInvalid(`${refused} volume cannot be found.`)
  if (volume.groupId === id) return
  if (volume.groupId !== null) throw volumeInvalid(`${refused} it is already in group ${volume.groupId}.`)
  if (volume.volumeTypeId === null) throw volumeInvalid(`${refused} it has no volume type.`)
  if (!group.volumeTypeIds.includes(volume.volumeTypeId))
    throw volumeInvalid(`${refused} volume type ${volume.volumeTypeId} is not supported by the group.`)
  if (!mayCome.includes(volume.status))
    throw volumeInvalid(
      `${refused} volume is in an invalid state: ${volume.status}. Valid states are: ${mayCome.join(", ")}.`,
    )
  if (volume.targetHost !== null) throw volumeInvalid(movingRefusal("add", volumeId))
  if (volume.host !== group.host || volume.backend !== group.backend)
    throw volumeInvalid(`${refused} it lies on another back end than the group.`)
  await holdRoomInGroup(ctx, tx, id, 1)
  await setGroup(tx, volumeId, id)
}

async function lockedVolume(tx: Tx, volumeId: string) {
  return isUuid(volumeId) ? await lockVolume(tx, volumeId) : undefined
}

async function setGroup(tx: Tx, volumeId: string, groupId: string | null): Promise<void> {
  await tx
    .updateTable("block_storage.volume")
    .set({ group_id: groupId, updated_at: sql<Date>`now()` })
    .where("id", "=", volumeId)
    .execute()
}

/** Takes it from any task; an administrator has looked. */
export const resetGroupStatus = operation({
  name: "block_storage.group.reset_status",
  input: Type.Object({ id: Type.String(), status: word(groupStatuses) }),
  faults: [groupNotFound],
  load: (ctx, { id }) => visibleGroup(ctx, id),
  rule: "group:reset_status",
  target: (_ctx, _input, group) => targetOf(group),
  run: async (ctx, { id, status }) => {
    await transact(ctx.db, async (tx) => {
      const values = { status, generation: sql`generation + 1`, updated_at: ctx.clock.now() }
      const changed = await updateThing(tx, groupNoun, everything, id, values)
      if (!changed) throw groupNotFound(id)
      await notifyGroup(ctx, tx, changed, "reset_status.end", actorOf(ctx))
    })
  },
})
