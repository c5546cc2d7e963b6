// An attachment of somebody who looks after the connection alone: a server of another cloud, a machine without any.
// What the compute service has attached, it alone ends.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { insertThing, listThings, loadThing } from "../../platform/noun/list.ts"
import { endForeignHold } from "../connection/foreign-hold.ts"
import {
  attachmentNotFound,
  attachmentOfServer,
  inputInvalid,
  volumeInvalid,
  volumeNotFound,
} from "../faults.ts"
import { everything, targetOf, viewerOf } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { type VolumeAction, volumeRules } from "../volume/state.ts"
import { lockVolume } from "../volume/store.ts"
import { actorOf, claimByRule, claimVolume } from "../volume/task.ts"
import type { Volume, VolumeStatus } from "../volume/volume.ts"
import { type Attachment, attachmentNoun } from "./attachment.ts"
import { checkRoomForHolder, statusByAttachments } from "./shared.ts"

export const Connector = Type.Record(Type.String(), Type.Unknown())
export type Connector = Type.Static<typeof Connector>

const connectorBytesMost = 4_096

/** It is kept as it is. */
export function checkConnector(connector: Connector): void {
  if (Buffer.byteLength(JSON.stringify(connector)) > connectorBytesMost)
    throw inputInvalid("connector: it is of 4 KiB at the most, as JSON.")
}

interface Holder {
  serverId: string | null
  host: string | null
  device: string | null
  mode: "rw" | "ro"
  connector: Connector | null
  status: Attachment["status"]
}

/** Takes the volume by `action`, and notes for whom. */
export async function hold(
  ctx: Ctx,
  tx: Tx,
  volumeId: string,
  action: VolumeAction,
  holder: Holder,
): Promise<Attachment> {
  const volume = await claimVolume(tx, volumeId, action)
  checkBootableShared(ctx, volume)
  await checkRoomForHolder(tx, volume)
  const made = await insertThing(tx, attachmentNoun, everything, {
    values: {
      id: newUuid(),
      volume_id: volumeId,
      project_id: volume.projectId,
      server_id: holder.serverId,
      host: holder.host,
      device: holder.device,
      mode: volume.isReadOnly ? "ro" : holder.mode,
      status: holder.status,
      is_shared: volume.isMultiattach,
      connector: holder.connector === null ? null : jsonb(holder.connector),
      created_at: ctx.clock.now(),
      attached_at: holder.status === "attached" ? ctx.clock.now() : null,
    },
  })
  if (!made) throw volumeInvalid(`Volume ${volumeId} has an attachment already.`)
  return made
}

/** Throws when the caller may not be one more of those who have a volume that machines boot from. */
export function checkBootableShared(ctx: Ctx, volume: Volume): void {
  if (!volume.isMultiattach || !volume.isBootable || volume.previousStatus !== "in-use") return
  ctx.policy.enforce(ctx.caller, "volume:multiattach_bootable_volume", targetOf(volume))
}

export function hostIn(connector: Connector | null): string | null {
  return typeof connector?.host === "string" ? connector.host.slice(0, 255) : null
}

export async function connect(
  ctx: Ctx,
  tx: Tx,
  { id, volumeId, status }: Attachment,
  connector: Connector,
): Promise<Attachment> {
  // Who has the volume already says how from now on, and goes on having it.
  const isAttached = status === "attached" || status === "detaching"
  const device = typeof connector.mountpoint === "string" ? connector.mountpoint.slice(0, 255) : null
  await tx
    .updateTable("block_storage.attachment")
    .set({
      ...(isAttached ? {} : { status: "attaching" }),
      connector: jsonb(connector),
      host: hostIn(connector),
      device,
    })
    .where("id", "=", id)
    .execute()
  if (!isAttached) await setStatus(tx, volumeId, "attaching")
  return await loadThing(tx, attachmentNoun, viewerOf(ctx), id)
}

export async function setStatus(
  tx: Tx,
  volumeId: string,
  status: "attaching" | "in-use" | "detaching",
): Promise<void> {
  await tx
    .updateTable("block_storage.volume")
    .set({ status, updated_at: sql<Date>`now()` })
    .where("id", "=", volumeId)
    .where("status", "in", ["reserved", "attaching", "in-use"])
    .execute()
}

/** Who has the volume, true until the transaction ends: nobody takes it or gives it back meanwhile. */
export async function lockAttachments(tx: Tx, volumeId: string): Promise<Attachment[]> {
  if (!(await lockVolume(tx, volumeId))) throw volumeNotFound(volumeId)
  return await listThings(tx, attachmentNoun, everything, { filters: { volumeId: [volumeId] } })
}

/** The same, and throws when one of them is a server of the compute service. */
export async function lockForeignAttachments(tx: Tx, volumeId: string): Promise<Attachment[]> {
  const attachments = await lockAttachments(tx, volumeId)
  for (const attachment of attachments) checkForeign(attachment)
  return attachments
}

/** Nobody else can have the volume beside it. */
export const isAlone = ({ isShared }: Attachment) => !isShared

/** Throws when it is of a server of the compute service. */
export function checkForeign({ volumeId, isOfServer, serverId }: Attachment): void {
  if (isOfServer) throw attachmentOfServer(volumeId, serverId ?? "")
}

/** The one that is meant: by its id, or the only one. Throws when that is a server's of the compute service. */
export async function lockAttachment(
  tx: Tx,
  volumeId: string,
  attachmentId: string | null,
): Promise<Attachment | undefined> {
  const attachments = await lockAttachments(tx, volumeId)
  if (attachmentId === null && attachments.length > 1)
    throw volumeInvalid(`Volume ${volumeId} has more than one attachment: say which one (attachment_id).`)
  const attachment = attachments.find(({ id }) => attachmentId === null || id === attachmentId)
  // Of a volume that is not shared a server may have taken the place of the one that is meant.
  const inTheWay = attachment ?? attachments.find(isAlone)
  if (inTheWay) checkForeign(inTheWay)
  return attachment
}

/** The same, of one that was found before: throws `attachmentNotFound` when it has ended since. */
export async function holdAttachment(tx: Tx, { id, volumeId }: Attachment): Promise<Attachment> {
  const attachment = await lockAttachment(tx, volumeId, id)
  if (!attachment) throw attachmentNotFound(id)
  return attachment
}

/** What the volume is when somebody has given it up; when it was the last, nobody outside of the cloud is to reach it. */
export async function statusWithout(tx: Tx, volumeId: string): Promise<VolumeStatus> {
  const status = await statusByAttachments(tx, volumeId)
  if (status === null) await endForeignHold(tx, volumeId)
  return status ?? "available"
}

/** Of one that is held. Others may have the volume, and keep it. */
export async function letGo(ctx: Ctx, tx: Tx, { id, volumeId }: Attachment): Promise<void> {
  await tx.deleteFrom("block_storage.attachment").where("id", "=", id).execute()
  const to = await statusWithout(tx, volumeId)
  const volume = await claimByRule(tx, volumeId, { ...volumeRules.detach, to })
  await notifyVolume(ctx, tx, volume, "detach.end", actorOf(ctx))
}
