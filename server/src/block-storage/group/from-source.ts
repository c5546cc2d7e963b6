// A group made of another one, or of its snapshots: one volume for each, on the same back end.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import {
  inputInvalid,
  snapshotInvalid,
  snapshotNotFound,
  volumeInvalid,
  volumeNotFound,
  volumeTooLarge,
  volumeTypeNotFound,
} from "../faults.ts"
import { visibleGroupSnapshot } from "../group-snapshot/read.ts"
import { selectGroupSnapshot } from "../group-snapshot/store.ts"
import { enforceTypesQuota } from "../quota/of-types.ts"
import { type Snapshot, snapshotNoun } from "../snapshot/snapshot.ts"
import { volumeOfSnapshot } from "../snapshot/volume-of.ts"
import { everything, viewerOf } from "../viewer.ts"
import { checkOneSize, holdSource, insertRow, type VolumeOrigin } from "../volume/create.ts"
import { giveKey } from "../volume/key.ts"
import { actorOf } from "../volume/task.ts"
import type { Volume } from "../volume/volume.ts"
import { defaultVolumeType, inheritedVolumeType } from "../volume-type/choose.ts"
import { isMultiattachType } from "../volume-type/volume-type.ts"
import { insertGroup } from "./create.ts"
import { groupInvalid, groupNotFound, groupSnapshotNotFound, groupTypeNotFound } from "./faults.ts"
import { createGroupFromSourceSaga } from "./from-source.saga.ts"
import type { Group } from "./group.ts"
import { asksOneMoment } from "./one-moment.ts"
import { visibleGroup } from "./read.ts"
import { lockGroup, lockVolumesOf } from "./store.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export const createGroupFromSource = operation({
  name: "block_storage.group.create_from_source",
  input: Type.Object({
    name: nullableText,
    description: nullableText,
    source: Type.Object({
      kind: Type.Union([Type.Literal("group"), Type.Literal("group_snapshot")]),
      id: Type.String(),
    }),
  }),
  faults: [
    ...[groupNotFound, groupInvalid, groupSnapshotNotFound, groupTypeNotFound, volumeTypeNotFound],
    ...[inputInvalid, volumeInvalid, volumeNotFound, snapshotInvalid, snapshotNotFound],
    ...[volumeTooLarge, quotaExceeded],
  ],
  load: async (ctx, { source: { kind, id } }) =>
    kind === "group" ? id : (await visibleGroupSnapshot(ctx, id)).groupId,
  rule: "group:create",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { name, description, source }, groupId) => {
    const { userId } = ctx.caller
    const { projectId } = await visibleGroup(ctx, groupId)
    // Of another project an administrator sees it, and copies nothing of it.
    if (projectId !== ctx.caller.projectId)
      throw source.kind === "group" ? groupNotFound(source.id) : groupSnapshotNotFound(source.id)
    return await transact(ctx.db, async (tx) => {
      const group = await lockGroup(tx, groupId)
      const { host, backend } = group
      if (host === null || backend === null) throw groupInvalid(`Group ${groupId} has no back end.`)
      const parts = await (source.kind === "group"
        ? partsOfGroup(tx, group)
        : partsOfSnapshot(ctx, tx, group, source.id))
      for (const { like } of parts)
        if (like.volumeTypeId !== null) await inheritedVolumeType(tx, viewerOf(ctx), like.volumeTypeId)
      const isOfOneMoment =
        source.kind === "group" &&
        (await asksOneMoment(
          tx,
          group,
          parts.map((part) => part.source.id),
        ))
      // Volumes and snapshots first, then the quota, as for one volume.
      for (const part of parts) await holdSource(tx, part.source)
      for (const { sizeGib } of parts) await checkOneSize(ctx, tx, projectId, sizeGib)
      const gigabytes = parts.reduce((sum, { sizeGib }) => sum + sizeGib, 0)
      await enforceTypesQuota(ctx, tx, {
        projectId,
        add: { groups: 1, volumes: parts.length, gigabytes },
        ofTypes: parts.map(({ sizeGib, like }) => {
          return { typeId: like.volumeTypeId, add: { volumes: 1, gigabytes: sizeGib } }
        }),
      })
      const { groupTypeId, volumeTypeIds } = group
      const made = await insertGroup(ctx, tx, {
        ...{ projectId, userId, name, description, groupTypeId, volumeTypeIds, host, backend },
        ...(source.kind === "group" ? { sourceGroupId: source.id } : { groupSnapshotId: source.id }),
      })
      const volumes = await insertVolumes(ctx, tx, made, parts)
      const actor = actorOf(ctx)
      const params = { groupId: made.id, generation: made.generation, ...actor, volumes, isOfOneMoment }
      const how = { requestId: ctx.requestId, resourceId: made.id }
      await ctx.sagas.start(tx, createGroupFromSourceSaga, params, how)
      return made
    })
  },
})

interface Part {
  source: Extract<VolumeOrigin, { kind: "snapshot" | "volume" }>
  sizeGib: number
  /** The volume that it was, which it is to be like. */
  like: Pick<Volume, "isBootable" | "imageMetadata" | "isMultiattach" | "volumeTypeId" | "volumeTypeName">
}

async function partsOfGroup(tx: Tx, { id, status }: Group): Promise<Part[]> {
  if (["creating", "updating", "deleting"].includes(status))
    throw groupInvalid(`Source group cannot be in '${status}' state. No group will be created.`)
  const volumes = await lockVolumesOf(tx, id)
  if (volumes.length === 0) throw groupInvalid("Source Group is empty. No group will be created.")
  return volumes.map((like) => ({
    source: { kind: "volume", id: like.id },
    sizeGib: like.sizeGib,
    like,
  }))
}

async function partsOfSnapshot(ctx: Ctx, tx: Tx, group: Group, groupSnapshotId: string): Promise<Part[]> {
  const whole = await selectGroupSnapshot(tx, groupSnapshotId)
  if (!whole) throw groupSnapshotNotFound(groupSnapshotId)
  if (whole.status !== "available")
    throw groupInvalid(`Group snapshot status must be available, but current status is: ${whole.status}.`)
  const rows = await tx
    .selectFrom("block_storage.snapshot")
    .select("id")
    .where("group_snapshot_id", "=", groupSnapshotId)
    .orderBy("id")
    .execute()
  const parts: Part[] = []
  for (const { id } of rows) {
    const snapshot = await findThing(tx, snapshotNoun, everything, id)
    if (!snapshot) continue
    const like = (await volumeOfSnapshot(tx, snapshot)) ?? (await blankFor(ctx, group, snapshot))
    parts.push({ source: { kind: "snapshot", id }, sizeGib: snapshot.sizeGib, like })
  }
  if (parts.length === 0) throw groupInvalid("Group snapshot is empty. No group will be created.")
  return parts
}

/** Of a snapshot whose volume was given away. */
async function blankFor(ctx: Ctx, { projectId, volumeTypeIds }: Group, snapshot: Snapshot) {
  const type = await defaultVolumeType(ctx, projectId)
  if (!volumeTypeIds.includes(type.id))
    throw groupInvalid(
      `Snapshot ${snapshot.id} is of a volume that is another project's now, and volumes of type ${type.name} are not ` +
        "for the group: make volumes of the snapshots one by one.",
    )
  const isMultiattach = isMultiattachType(type)
  return {
    ...{ isBootable: false, imageMetadata: null, isMultiattach },
    ...{ volumeTypeId: type.id, volumeTypeName: type.name },
  }
}

async function insertVolumes(
  ctx: Ctx,
  tx: Tx,
  { id: groupId, projectId, userId }: Group,
  parts: readonly Part[],
): Promise<{ volumeId: string; generation: number }[]> {
  const made: { volumeId: string; generation: number }[] = []
  for (const { source, sizeGib, like } of parts) {
    const { isBootable, imageMetadata, isMultiattach, volumeTypeId } = like
    const volume = await insertRow(ctx, tx, {
      ...{ projectId, userId, name: null, description: null, metadata: {} },
      ...{ source, sizeGib, typeId: volumeTypeId, isMultiattach, groupId, isBootable, imageMetadata },
    })
    if (volumeTypeId !== null) {
      const type = { id: volumeTypeId, name: like.volumeTypeName ?? volumeTypeId }
      await giveKey(ctx, tx, { ...volume, type }, source)
    }
    made.push({ volumeId: volume.id, generation: volume.generation })
  }
  return made
}
