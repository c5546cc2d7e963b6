// What the compute service does with volumes: a server reserves one, its machine gets it, gives it back. The
// attachments of servers are made and ended here alone, so the API of volumes cannot take a disk from a machine.
//
//   reserve ──► (plug in the machine) ──► complete      undone by: release
//   begin to detach ──► (unplug) ──► release            undone by: keep
import { sql } from "kysely"
import type { IoLimits } from "../../agent/protocol.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { type DbOrTx, jsonb, type Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing, listThings } from "../../platform/noun/list.ts"
import { volumeInvalid, volumeNotFound } from "../faults.ts"
import { ioLimitsOfVolume } from "../qos-specs/of-volume.ts"
import { everything } from "../viewer.ts"
import { insertVolume, planVolume } from "../volume/create.ts"
import { beginDelete, whyNotDelete } from "../volume/delete.ts"
import { stopFollowing } from "../volume/follow-server.ts"
import { type Actor, notifyVolume } from "../volume/notification.ts"
import { volumeRules } from "../volume/state.ts"
import { noteReleasedOnTheWay, noteStatusAfter, selectVolume, takeVolume } from "../volume/store.ts"
import { actorOf, claimVolume } from "../volume/task.ts"
import { type Volume, volumeNoun } from "../volume/volume.ts"
import { type Attachment, attachmentNoun } from "./attachment.ts"
import { checkBootableShared } from "./hold.ts"
import { checkRoomForHolder, statusByAttachments } from "./shared.ts"

/** Whoever asks; those that are there, by id. */
export async function volumesByIds(db: DbOrTx, ids: readonly string[]): Promise<Map<string, Volume>> {
  if (ids.length === 0) return new Map()
  const found = await listThings(db, volumeNoun, everything, { filters: { id: [...new Set(ids)] } })
  return new Map(found.map((volume) => [volume.id, volume]))
}

export interface ReserveVolume {
  volumeId: string
  serverId: string
  /** Only volumes of this project: what a caller may see is decided before. */
  projectId: string
  /** `/dev/vdb`, as the server calls it. */
  device: string | null
}

/** From `available` to `reserved`: nobody else gets it, or not before this server has it. Throws `volumeInvalid`, `volumeNotFound`. */
export async function reserveVolume(ctx: Ctx, tx: Tx, asked: ReserveVolume): Promise<Attachment> {
  const { volumeId, serverId, projectId, device } = asked
  const volume = await claimVolume(tx, volumeId, "reserve")
  if (volume.projectId !== projectId) throw volumeNotFound(volumeId)
  // An administrator may have said that it is available; a machine would run without it.
  if (volume.host === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
  checkBootableShared(ctx, volume)
  await checkRoomForHolder(tx, volume)
  const ioLimits = await ioLimitsOfVolume(tx, volume)
  const attachment = await insertThing(tx, attachmentNoun, everything, {
    values: {
      id: newUuid(),
      volume_id: volumeId,
      project_id: projectId,
      server_id: serverId,
      is_of_server: true,
      device,
      mode: volume.isReadOnly === true ? "ro" : "rw",
      status: "reserved",
      is_shared: volume.isMultiattach,
      io_limits: ioLimits && jsonb(ioLimits),
      created_at: ctx.clock.now(),
    },
  })
  // An administrator may have said that it is available.
  if (!attachment) throw volumeInvalid(`Volume ${volumeId} has an attachment already.`)
  return attachment
}

/** By attachment: what the machine is held to. Those that are not limited are left out. */
export async function ioLimitsByAttachments(
  db: DbOrTx,
  ids: readonly string[],
): Promise<Map<string, IoLimits>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom("block_storage.attachment")
    .select(["id", "io_limits"])
    .where("id", "in", ids)
    .execute()
  return new Map(rows.flatMap(({ id, io_limits: limits }) => (limits ? [[id, limits] as const] : [])))
}

/** The machine is about to get it. Repeatable. */
export async function connectVolume(
  tx: Tx,
  attached: { volumeId: string; serverId: string; host: string },
): Promise<void> {
  await lockIfShared(tx, attached.volumeId)
  await setStatus(tx, attached.volumeId, ["reserved", "attaching"], "attaching")
  await changeAttachment(tx, attached, { status: "attaching", host: attached.host })
}

/** The machine has it. Repeatable. */
export async function completeVolume(
  platform: Platform,
  tx: Tx,
  attached: { volumeId: string; serverId: string; host: string },
  actor: Actor,
): Promise<void> {
  await lockIfShared(tx, attached.volumeId)
  const isNews = await setStatus(tx, attached.volumeId, ["reserved", "attaching"], "in-use")
  await changeAttachment(tx, attached, {
    status: "attached",
    host: attached.host,
    attached_at: sql<Date>`now()`,
  })
  const volume = isNews ? await selectVolume(tx, attached.volumeId) : undefined
  if (volume)
    await notifyVolume(platform, tx, volume, "attach.end", actor, { instance_uuid: attached.serverId })
}

/** From `in-use` to `detaching`. Throws `volumeInvalid`. */
export async function beginDetachVolume(
  tx: Tx,
  attached: { volumeId: string; serverId: string },
): Promise<void> {
  await claimVolume(tx, attached.volumeId, "beginDetach")
  await changeAttachment(tx, attached, { status: "detaching" })
}

/** The guest did not let go. Repeatable. */
export async function keepVolume(tx: Tx, attached: { volumeId: string; serverId: string }): Promise<void> {
  await lockIfShared(tx, attached.volumeId)
  await setStatus(tx, attached.volumeId, ["detaching"], "in-use")
  await changeAttachment(tx, attached, { status: "attached" })
}

/** What a task does with a volume while a server has it. */
const busyStatuses = ["extending", "uploading", "backing-up", "downloading"] as const

/**
 * The machine has it no more, or never had. Repeatable: of a volume that others have got meanwhile, or have beside it,
 * nothing changes for them.
 */
export async function releaseVolume(
  platform: Platform,
  tx: Tx,
  { volumeId, serverId }: { volumeId: string; serverId: string },
  actor: Actor,
): Promise<void> {
  const isShared = await lockIfShared(tx, volumeId)
  await stopFollowing(tx, { volumeId, serverId })
  const gone = await deleteOf(tx, { volumeId, serverId })
  if (gone === 0n) return
  const left = isShared ? await statusByAttachments(tx, volumeId) : null
  const from =
    left === null
      ? ([...volumeRules.detach.from, "retyping", "maintenance"] as const)
      : volumeRules.detach.from
  const to = left ?? "available"
  const volume =
    (await takeVolume(tx, volumeId, { ...volumeRules.detach, from, to })) ??
    (left === null
      ? ((await noteReleasedOnTheWay(tx, volumeId)) ??
        (await noteStatusAfter(tx, volumeId, busyStatuses, to)))
      : undefined)
  if (volume) await notifyVolume(platform, tx, volume, "detach.end", actor, { instance_uuid: serverId })
}

/** What the volume is follows from all who have it: none comes or goes until this transaction ends. */
async function lockIfShared(tx: Tx, volumeId: string): Promise<boolean> {
  const locked = await tx
    .selectFrom("block_storage.volume")
    .select("id")
    .where("id", "=", volumeId)
    .where("is_multiattach", "=", true)
    .forUpdate()
    .executeTakeFirst()
  return locked !== undefined
}

async function deleteOf(
  tx: Tx,
  { volumeId, serverId }: { volumeId: string; serverId: string },
): Promise<bigint> {
  const gone = await tx
    .deleteFrom("block_storage.attachment")
    .where("volume_id", "=", volumeId)
    .where("server_id", "=", serverId)
    .where("is_of_server", "=", true)
    .executeTakeFirst()
  return gone.numDeletedRows
}

export interface ServerVolumeWish {
  projectId: string
  userId: string
  /** Where the server is. */
  host: string
  /** Null: as large as its source. */
  sizeGib: number | null
  volumeType: string | null
  /** At most one; none: blank. */
  imageId: string | null
  snapshotId: string | null
}

/**
 * A volume that a server is to be made with, on the server's host. `ctx` may be the cloud's own: the server's project
 * pays for it, and what it names is looked at as that project sees it. The saga that makes it has begun; see
 * `awaitVolume`. Throws what a creation throws.
 */
export async function createServerVolume(ctx: Ctx, tx: Tx, wish: ServerVolumeWish): Promise<Volume> {
  const { projectId, userId, host, ...asked } = wish
  const viewer = { projectId, seesAll: false }
  const plan = await planVolume(ctx, viewer, { ...asked, projectId, sourceVolumeId: null })
  return await insertVolume(ctx, tx, {
    ...plan,
    projectId,
    userId,
    host,
    name: "",
    description: "",
    metadata: {},
  })
}

const askEveryMs = 250

/** Until it is made: throws `volumeInvalid` with the reason when that failed. Ends with the signal. */
export async function awaitVolume(
  platform: Platform,
  volumeId: string,
  signal: AbortSignal,
): Promise<Volume> {
  for (;;) {
    signal.throwIfAborted()
    const volume = await selectVolume(platform.db, volumeId)
    if (!volume) throw volumeNotFound(volumeId)
    if (volume.status !== "creating") {
      if (volume.status === "error")
        throw volumeInvalid(
          `Volume ${volumeId} did not finish being created: ${volume.problem ?? "it failed"}`,
        )
      return volume
    }
    await platform.clock.sleep(askEveryMs, signal)
  }
}

/** As if its owner deleted it, after it was released; of one that cannot be deleted now nothing happens. */
export async function deleteServerVolume(
  ctx: Ctx,
  tx: Tx,
  volumeId: string,
  actor: Actor = actorOf(ctx),
): Promise<void> {
  const volume = await selectVolume(tx, volumeId)
  if (!volume || volume.targetHost !== null) return
  const isBusy = isOneOf(["creating", ...busyStatuses], volume.status)
  if (!isBusy && !isOneOf(volumeRules.delete.from, volume.status)) return
  const how = { isCascading: false, isForced: isBusy }
  if ((await whyNotDelete(tx, volume, how)) === null) await beginDelete(ctx, tx, volumeId, { ...how, actor })
}

const isOneOf = (statuses: readonly string[], status: string) => statuses.includes(status)

async function changeAttachment(
  tx: Tx,
  { volumeId, serverId }: { volumeId: string; serverId: string },
  changes: Record<string, unknown>,
): Promise<void> {
  await tx
    .updateTable("block_storage.attachment")
    .set(changes)
    .where("volume_id", "=", volumeId)
    .where("server_id", "=", serverId)
    .where("is_of_server", "=", true)
    .execute()
}

/** False: it was in none of these. */
async function setStatus(
  tx: Tx,
  volumeId: string,
  from: readonly string[],
  status: string,
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable("block_storage.volume")
    .set({ status, updated_at: sql<Date>`now()` })
    .where("id", "=", volumeId)
    .where("status", "in", from)
    .executeTakeFirstOrThrow()
  return numUpdatedRows > 0n
}
