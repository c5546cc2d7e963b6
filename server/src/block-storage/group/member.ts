// What a volume must be to be made in a group.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { inputInvalid, volumeInvalid } from "../faults.ts"
import type { Place } from "../pool/place.ts"
import { viewerOf } from "../viewer.ts"
import { groupInvalid, groupNotFound } from "./faults.ts"
import { type Group, groupNoun } from "./group.ts"
import { lockGroup } from "./store.ts"

export interface GroupPlace {
  id: string
  place: Place
}

/** Of the project's own; where it lies. */
export async function groupForVolume(
  ctx: Ctx,
  asked: { groupId: string; projectId: string; isTypeNamed: boolean; typeId: string; at: Place | null },
): Promise<GroupPlace> {
  const { groupId, at } = asked
  const group = await findThing(ctx.db, groupNoun, viewerOf(ctx), groupId)
  if (group?.projectId !== asked.projectId) throw groupNotFound(groupId)
  if (!asked.isTypeNamed)
    throw inputInvalid("volume_type must be provided when creating a volume in a group.")
  if (!group.volumeTypeIds.includes(asked.typeId))
    throw inputInvalid(
      `Invalid volume_type provided: ${asked.typeId} (requested type must be supported by this group).`,
    )
  const place = placeOf(group)
  if (at && (at.host !== place.host || at.backend !== place.backend))
    throw volumeInvalid(`the source lies on another back end than group ${groupId}.`)
  return { id: groupId, place }
}

/** Of one that takes volumes now. */
export function placeOf({ status, host, backend }: Group): Place {
  if (status !== "available" || host === null || backend === null)
    throw inputInvalid("Originating group status must be one of 'available' values")
  return { host, backend }
}

/** The group takes so many more, and stays as it is until this transaction ends. */
export async function holdRoomInGroup(ctx: Ctx, tx: Tx, groupId: string, more: number): Promise<Group> {
  const group = await lockGroup(tx, groupId)
  placeOf(group)
  const { count } = await tx
    .selectFrom("block_storage.volume")
    .select(({ fn }) => fn.countAll<string>().as("count"))
    .where("group_id", "=", groupId)
    .executeTakeFirstOrThrow()
  const { groupVolumesMost } = ctx.config.blockStorage
  if (Number(count) + more > groupVolumesMost)
    throw groupInvalid(`a group has ${groupVolumesMost} volumes at the most.`)
  return group
}
