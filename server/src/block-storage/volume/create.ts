// Makes volumes: what can be refused is refused here, in the request; the rest is the saga's.
import { Type } from "typebox"
import { findBootableImage, imagesNamed } from "../../image/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { findThing, insertThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { getLimits, quotaExceeded } from "../../quota/index.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import { holdBackup, originOfBackup, type RestoredBackup } from "../backup/origin.ts"
import {
  backupInvalid,
  backupNotFound,
  imageAmbiguous,
  inputInvalid,
  snapshotInvalid,
  snapshotNotFound,
  volumeInvalid,
  volumeNotFound,
  volumeTooLarge,
  volumeTypeNotFound,
} from "../faults.ts"
import { groupInvalid, groupNotFound } from "../group/faults.ts"
import { groupForVolume, holdRoomInGroup } from "../group/member.ts"
import { checkMetadata } from "../metadata.ts"
import { gib, type Place } from "../pool/place.ts"
import { enforceTypeQuota } from "../quota/of-types.ts"
import { blockStorageQuota } from "../quota/resources.ts"
import { snapshotNoun } from "../snapshot/snapshot.ts"
import { volumeOfSnapshot } from "../snapshot/volume-of.ts"
import { everything, type Viewer, viewerOf } from "../viewer.ts"
import { defaultVolumeType, findVolumeType, inheritedVolumeType } from "../volume-type/choose.ts"
import { isMultiattachType, type VolumeType } from "../volume-type/volume-type.ts"
import { createVolumeSaga } from "./create.saga.ts"
import { bootFactsOf } from "./image-metadata.ts"
import { giveKey } from "./key.ts"
import { notifyVolume } from "./notification.ts"
import { movingRefusal } from "./state.ts"
import { lockVolume, selectVolume } from "./store.ts"
import { keyOfImage, luksFormat } from "./stored-key.ts"
import { type Volume, type VolumeStatus, volumeNoun } from "./volume.ts"

const nullableText = Type.Union([Type.String(), Type.Null()])

export const volumeSizeMost = 2 ** 31 - 1

const CreateVolume = Type.Object({
  name: nullableText,
  description: nullableText,
  /** Null: as large as its source. */
  sizeGib: Type.Union([Type.Integer({ minimum: 1, maximum: volumeSizeMost }), Type.Null()]),
  /** Id or name; null: its source's, or the default. */
  volumeType: nullableText,
  /** At most one of these. The image also by its name, or by an address that ends with its id. */
  imageId: nullableText,
  snapshotId: nullableText,
  sourceVolumeId: nullableText,
  backupId: Type.Optional(nullableText),
  availabilityZone: nullableText,
  metadata: Type.Record(Type.String(), Type.String()),
  /** Beside the group's other volumes, and of one of its types. */
  groupId: Type.Optional(nullableText),
})
export type CreateVolumeInput = Type.Static<typeof CreateVolume>

export const createVolume = operation({
  name: "block_storage.volume.create",
  input: CreateVolume,
  faults: [
    inputInvalid,
    volumeNotFound,
    volumeInvalid,
    volumeTooLarge,
    volumeTypeNotFound,
    snapshotNotFound,
    snapshotInvalid,
    groupNotFound,
    groupInvalid,
    backupNotFound,
    backupInvalid,
    imageAmbiguous,
    quotaExceeded,
  ],
  rules: ["volume:create", "volume:create_from_image"],
  authorize: (ctx, { imageId }) => {
    const target = { project_id: ctx.caller.projectId }
    return [
      ["volume:create", target],
      ...(imageId === null ? [] : [["volume:create_from_image", target] as const]),
    ]
  },
  run: async (ctx, input) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw inputInvalid("a volume needs a project: use a token with project scope.")
    checkZone(ctx, input.availabilityZone)
    checkMetadata(input.metadata)
    const plan = await planVolume(ctx, viewerOf(ctx), { ...input, projectId })
    const metadata = { ...plan.metadata, ...input.metadata }
    const { groupId = null } = input
    const group =
      groupId === null
        ? null
        : await groupForVolume(ctx, {
            ...{ groupId, projectId, isTypeNamed: input.volumeType !== null },
            ...{ typeId: plan.type.id, at: plan.at },
          })
    const at = group?.place ?? plan.at
    return await transact(ctx.db, async (tx) => {
      // Before volumes, as whoever takes a group with its volumes does.
      if (group) await holdRoomInGroup(ctx, tx, group.id, 1)
      const groups = { at, groupId: group?.id ?? null }
      const wish = { ...input, ...plan, ...groups, metadata, projectId, userId, host: null }
      return await insertVolume(ctx, tx, wish)
    })
  },
})

export function checkZone(ctx: Ctx, zone: string | null): void {
  const { availabilityZone } = ctx.config.blockStorage
  if (zone === null || zone === availabilityZone) return
  throw inputInvalid(`Availability zone '${zone}' is invalid; the zone of volumes is '${availabilityZone}'.`)
}

type Asked = Pick<
  CreateVolumeInput,
  "sizeGib" | "volumeType" | "imageId" | "snapshotId" | "sourceVolumeId" | "backupId"
> & {
  projectId: string
}

/** What a volume is to be, after a look at everything that the request names. */
export interface VolumePlan {
  sizeGib: number
  type: VolumeType
  source: VolumeOrigin
  /** Where its source lies. */
  at: Place | null
  isBootable: boolean
  imageMetadata: Record<string, string> | null
  /** What it has of its source. */
  metadata: Record<string, string>
}

export type VolumeOrigin =
  | { kind: "blank" }
  | { kind: "image"; imageId: string; checksum: string; diskFormat: string }
  | { kind: "snapshot" | "volume"; id: string }
  | RestoredBackup

interface Origin {
  source: VolumeOrigin
  least: number
  typeId: string | null
  at: Place | null
  isBootable: boolean
  imageMetadata: Record<string, string> | null
  metadata: Record<string, string>
}

/** `viewer`: who asks; of the volume's own project. */
export async function planVolume(ctx: Ctx, viewer: Viewer, asked: Asked): Promise<VolumePlan> {
  const { imageId, snapshotId, sourceVolumeId, backupId = null } = asked
  if ([imageId, snapshotId, sourceVolumeId, backupId].filter((id) => id !== null).length > 1)
    throw inputInvalid(
      "a volume is made from one of an image, a snapshot, a volume and a backup, not from several.",
    )
  const origin =
    imageId !== null
      ? await originOfImage(ctx, imageId)
      : snapshotId !== null
        ? await originOfSnapshot(ctx, viewer, snapshotId)
        : sourceVolumeId !== null
          ? await originOfVolume(ctx, viewer, sourceVolumeId)
          : backupId !== null
            ? { ...blank, ...(await originOfBackup(ctx, viewer, backupId)) }
            : blank
  const sizeGib = asked.sizeGib ?? origin.least
  if (sizeGib < 1)
    throw inputInvalid("Volume size must be an integer and greater than 0: give the field size.")
  if (sizeGib < origin.least)
    throw inputInvalid(`Volume size ${sizeGib}GB cannot be smaller than its source of ${origin.least}GB.`)
  const type =
    asked.volumeType !== null
      ? await findVolumeType(ctx, asked.volumeType)
      : origin.typeId !== null
        ? await inheritedVolumeType(ctx.db, viewer, origin.typeId)
        : await defaultVolumeType(ctx, asked.projectId)
  if (isMultiattachType(type))
    ctx.policy.enforce(ctx.caller, "volume:multiattach", { project_id: asked.projectId })
  return { ...origin, sizeGib, type }
}

const blank: Origin = {
  source: { kind: "blank" },
  least: 0,
  typeId: null,
  at: null,
  isBootable: false,
  imageMetadata: null,
  metadata: {},
}

/** `named`: its id, an address that ends with it, or a name that one image alone has. */
export async function originOfImage(ctx: Ctx, named: string): Promise<Origin> {
  const imageId = await idOfImage(ctx, named)
  let image: Awaited<ReturnType<typeof findBootableImage>>
  try {
    image = await findBootableImage(ctx, imageId)
  } catch (error) {
    if (!(error instanceof Fault) || error.kind === "bug") throw error
    const why = error.kind === "not_found" ? `Image ${imageId} could not be found.` : error.message
    throw inputInvalid(why)
  }
  const { id, checksum, minDiskGib, sizeBytes, virtualSizeBytes } = image
  const key = await keyOfImage(ctx.db, id)
  // Data of which the cloud has the key are LUKS, and nothing that the image says to everybody.
  if (image.problem && !key) throw inputInvalid(`Image ${imageId} cannot be used: ${image.problem}`)
  const diskFormat = key ? luksFormat : image.diskFormat
  const least = Math.max(minDiskGib, Math.ceil((virtualSizeBytes ?? sizeBytes) / gib), 1)
  const source = { kind: "image", imageId: id, checksum, diskFormat } as const
  const typeId = key?.volumeTypeId ?? null
  return { ...blank, source, least, typeId, isBootable: true, imageMetadata: bootFactsOf(image) }
}

async function idOfImage(ctx: Ctx, named: string): Promise<string> {
  const last = named.slice(named.lastIndexOf("/") + 1)
  if (isUuid(last)) return last
  const [id = named, other] = await imagesNamed(ctx, named)
  if (other !== undefined) throw imageAmbiguous(named)
  return id
}

async function originOfSnapshot(ctx: Ctx, viewer: Viewer, id: string): Promise<Origin> {
  const snapshot = await findThing(ctx.db, snapshotNoun, viewer, id)
  if (!snapshot) throw snapshotNotFound(id)
  if (snapshot.status !== "available")
    throw snapshotInvalid(
      `Originating snapshot status must be one of 'available' values, not ${snapshot.status}.`,
    )
  const volume = await volumeOfSnapshot(ctx.db, snapshot)
  const { host, backend, sizeGib: least } = snapshot
  return { ...likeVolume(volume), source: { kind: "snapshot", id }, least, at: { host, backend } }
}

async function originOfVolume(ctx: Ctx, viewer: Viewer, id: string): Promise<Origin> {
  const volume = await findThing(ctx.db, volumeNoun, viewer, id)
  if (!volume) throw volumeNotFound(id)
  const { host, backend, status, sizeGib: least } = volume
  if (host === null || backend === null) throw volumeInvalid(`Source volume ${id} has no data yet.`)
  if (!["available", "in-use"].includes(status))
    throw volumeInvalid(`Source volume status must be available or in-use, not ${status}.`)
  return { ...likeVolume(volume), source: { kind: "volume", id }, least, at: { host, backend } }
}

function likeVolume(volume: Volume | undefined): Origin {
  if (!volume) return blank
  const { isBootable, imageMetadata, volumeTypeId: typeId } = volume
  return { ...blank, isBootable, imageMetadata, typeId }
}

export interface NewVolume extends VolumePlan {
  /** Default: `creating`. */
  status?: "creating" | "restoring-backup"
  projectId: string
  userId: string
  name: string | null
  description: string | null
  metadata: Readonly<Record<string, string>>
  /** Where it must lie: the host of the server that it is for. Null: anywhere. */
  host: string | null
  groupId?: string | null
}

/** The row, its saga, the event and the look at the quota: one transaction. */
export async function insertVolume(ctx: Ctx, tx: Tx, volume: NewVolume): Promise<Volume> {
  const { projectId, userId, sizeGib, type } = volume
  // Volumes and snapshots first, then the quota: so do all, and none waits for another that waits for it.
  const source = await holdSource(tx, volume.source)
  await mustStillLie(tx, source, volume.at)
  await checkOneSize(ctx, tx, projectId, sizeGib)
  await enforceTypeQuota(ctx, tx, { projectId, typeId: type.id, add: { volumes: 1, gigabytes: sizeGib } })
  const { name, description, metadata, groupId = null, status = "creating" } = volume
  // Said at once: what the user says of these while it is made must not be overwritten at its end.
  const { imageMetadata, isBootable } = volume
  const row = {
    ...{ imageMetadata, isBootable },
    ...{ projectId, userId, name, description, metadata, sizeGib, source, groupId, status },
    ...{ typeId: type.id, isMultiattach: isMultiattachType(type) },
  }
  const inserted = await insertRow(ctx, tx, row)
  const isEncrypted = await giveKey(ctx, tx, { ...inserted, type }, source)
  // As it is with its key.
  const made = (isEncrypted && (await selectVolume(tx, inserted.id))) || inserted
  const actor = { requestId: ctx.requestId, userId, projectId }
  const { at, host } = volume
  const params = {
    volumeId: made.id,
    generation: made.generation,
    ...actor,
    source,
    at,
    host,
  }
  await ctx.sagas.start(tx, createVolumeSaga, params, { requestId: ctx.requestId, resourceId: made.id })
  return made
}

export interface NewRow
  extends Pick<
    NewVolume,
    "projectId" | "userId" | "name" | "description" | "metadata" | "sizeGib" | "source"
  > {
  typeId: string | null
  isMultiattach: boolean
  groupId: string | null
  /** Default: creating. */
  status?: VolumeStatus
  isBootable?: boolean
  imageMetadata?: Record<string, string> | null
}

/** The row and the event. */
export async function insertRow(ctx: Ctx, tx: Tx, row: NewRow): Promise<Volume> {
  const { projectId, userId, source, isBootable, imageMetadata } = row
  const made = await insertThing(tx, volumeNoun, everything, {
    values: {
      id: newUuid(),
      project_id: projectId,
      user_id: userId,
      name: row.name,
      description: row.description,
      size_gib: row.sizeGib,
      status: row.status ?? "creating",
      volume_type_id: row.typeId,
      is_multiattach: row.isMultiattach,
      availability_zone: ctx.config.blockStorage.availabilityZone,
      metadata: jsonb(row.metadata),
      image_id: source.kind === "image" ? source.imageId : null,
      snapshot_id: source.kind === "snapshot" ? source.id : null,
      source_volume_id: source.kind === "volume" ? source.id : null,
      group_id: row.groupId,
      is_bootable: isBootable,
      image_metadata: imageMetadata ? jsonb(imageMetadata) : undefined,
      created_at: ctx.clock.now(),
    },
  })
  if (!made) throw new Error("the id of a new volume is taken")
  await notifyVolume(ctx, tx, made, "create.start", { requestId: ctx.requestId, userId, projectId })
  return made
}

export async function checkOneSize(ctx: Ctx, tx: Tx, projectId: string, sizeGib: number): Promise<void> {
  const { per_volume_gigabytes: most } = await getLimits(ctx, tx, blockStorageQuota, { projectId })
  if (most >= 0 && sizeGib > most) throw volumeTooLarge(sizeGib, most)
}

/** It is held. A host copies what lies with it: of what has come to another one it does not know who writes to it. */
async function mustStillLie(tx: Tx, source: VolumeOrigin, at: Place | null): Promise<void> {
  if (at === null || (source.kind !== "volume" && source.kind !== "snapshot")) return
  const { host, backend } = await tx
    .selectFrom(source.kind === "volume" ? "block_storage.volume" : "block_storage.snapshot")
    .select(["host", "backend"])
    .where("id", "=", source.id)
    .executeTakeFirstOrThrow()
  if (host !== at.host || backend !== at.backend)
    throw volumeInvalid("What the volume is to be made of has come to another host meanwhile; try again.")
}

/** The source is there until this transaction ends; then the new row says that it must stay, or its own. */
export async function holdSource(tx: Tx, source: VolumeOrigin): Promise<VolumeOrigin> {
  if (source.kind === "backup") return await holdBackup(tx, source.id)
  if (source.kind === "volume") {
    const volume = await lockVolume(tx, source.id)
    if (!volume) throw volumeNotFound(source.id)
    if (volume.targetHost !== null) throw volumeInvalid(movingRefusal("copy", source.id))
    if (!["available", "in-use"].includes(volume.status))
      throw volumeInvalid(`Source volume status must be available or in-use, not ${volume.status}.`)
    await checkOneHolder(tx, volume)
  }
  if (source.kind !== "snapshot") return source
  const snapshot = await tx
    .selectFrom("block_storage.snapshot")
    .select("status")
    .where("id", "=", source.id)
    .forUpdate()
    .executeTakeFirst()
  if (!snapshot) throw snapshotNotFound(source.id)
  if (snapshot.status !== "available")
    throw snapshotInvalid(
      `Originating snapshot status must be one of 'available' values, not ${snapshot.status}.`,
    )
  return source
}
