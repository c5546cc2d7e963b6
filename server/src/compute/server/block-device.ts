// What servers have of volumes: rows, one a volume. Block storage has the volume and its status; here is which server
// has it, under which name, and what becomes of it with the server.
import { sql } from "kysely"
import type { IoLimits } from "../../agent/protocol.ts"
import {
  askWhetherFree,
  deleteServerVolume,
  ioLimitsByAttachments,
  type Reach,
  reachOf,
  releaseVolume,
  type Volume,
  volumesByIds,
} from "../../block-storage/index.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { Actor } from "./notification.ts"
import type { Server } from "./server.ts"

export type BlockDeviceSource = "volume" | "image" | "snapshot" | "blank"

export interface BlockDevice {
  id: string
  serverId: string
  /** Null: it is to be made with the server. */
  volumeId: string | null
  sourceType: BlockDeviceSource
  sourceId: string | null
  sizeGib: number | null
  volumeType: string | null
  bootIndex: number | null
  deviceName: string
  deleteOnTermination: boolean
  tag: string | null
  /** Block storage's name for the attachment; null: not reserved yet. */
  attachmentId: string | null
  /** A machine is made with what is attaching or attached, and without what is detaching. */
  state: "attaching" | "attached" | "detaching"
}

/** One whose volume is there. */
export type AttachedDevice = BlockDevice & { volumeId: string }

export const hasVolume = (device: BlockDevice): device is AttachedDevice => device.volumeId !== null

const fields = sql<BlockDevice>`id, server_id as "serverId", volume_id as "volumeId", source_type as "sourceType",
  source_id as "sourceId", size_gib as "sizeGib", volume_type as "volumeType",
  boot_index as "bootIndex", device_name as "deviceName", delete_on_termination as "deleteOnTermination", tag,
  attachment_id as "attachmentId", state`
/** As they were given: those of one request by their names. */
const inOrder = sql`created_at, length(device_name), device_name`

/** Of one server; without asking, of one that never had a volume. */
export async function selectDevices(
  db: DbOrTx,
  server: Pick<Server, "id" | "hasVolumes">,
): Promise<BlockDevice[]> {
  if (!server.hasVolumes) return []
  const { rows } = await sql<BlockDevice>`select ${fields} from compute.block_device
    where server_id = ${server.id} order by ${inOrder}`.execute(db)
  return rows
}

/** Of many servers, by their ids. */
export async function devicesOfServers(
  db: DbOrTx,
  servers: readonly Pick<Server, "id" | "hasVolumes">[],
): Promise<Map<string, AttachedDevice[]>> {
  const ids = servers.flatMap(({ id, hasVolumes }) => (hasVolumes ? [id] : []))
  const found = new Map<string, AttachedDevice[]>()
  if (ids.length === 0) return found
  const { rows } = await sql<AttachedDevice>`select ${fields} from compute.block_device
    where server_id = any(${ids}::uuid[]) and volume_id is not null order by ${inOrder}`.execute(db)
  for (const device of rows) {
    const those = found.get(device.serverId)
    if (those) those.push(device)
    else found.set(device.serverId, [device])
  }
  return found
}

/** The row, held until the transaction ends: with it stands who has the volume. */
export async function lockDevice(
  tx: Tx,
  { serverId, volumeId }: { serverId: string; volumeId: string },
): Promise<AttachedDevice | undefined> {
  const { rows } = await sql<AttachedDevice>`select ${fields} from compute.block_device
    where server_id = ${serverId} and volume_id = ${volumeId} for update`.execute(tx)
  return rows[0]
}

export type NewBlockDevice = Omit<BlockDevice, "state">

/** Rows of one statement: a statement may have 65,535 parameters. */
const insertBatch = 1_000

export async function insertDevices(tx: Tx, devices: readonly NewBlockDevice[]): Promise<void> {
  for (let at = 0; at < devices.length; at += insertBatch)
    await insertSome(tx, devices.slice(at, at + insertBatch))
}

async function insertSome(tx: Tx, devices: readonly NewBlockDevice[]): Promise<void> {
  await tx
    .insertInto("compute.block_device")
    .values(
      devices.map((device) => ({
        id: device.id,
        server_id: device.serverId,
        volume_id: device.volumeId,
        source_type: device.sourceType,
        source_id: device.sourceId,
        size_gib: device.sizeGib,
        volume_type: device.volumeType,
        boot_index: device.bootIndex,
        device_name: device.deviceName,
        delete_on_termination: device.deleteOnTermination,
        tag: device.tag,
        attachment_id: device.attachmentId,
        state: "attaching",
      })),
    )
    .execute()
}

export interface DeviceChanges {
  volumeId?: string
  attachmentId?: string
  state?: BlockDevice["state"]
  deleteOnTermination?: boolean
}

export async function changeDevice(tx: Tx, id: string, changes: DeviceChanges): Promise<void> {
  const { volumeId, attachmentId, state, deleteOnTermination } = changes
  await tx
    .updateTable("compute.block_device")
    .set({
      ...(volumeId !== undefined && { volume_id: volumeId }),
      ...(attachmentId !== undefined && { attachment_id: attachmentId }),
      ...(state !== undefined && { state }),
      ...(deleteOnTermination !== undefined && { delete_on_termination: deleteOnTermination }),
    })
    .where("id", "=", id)
    .execute()
}

/** Without what else the parameters of a task say. */
export function plainActor({ requestId, userId, projectId }: Actor): Actor {
  return { requestId, userId, projectId }
}

/** From now on its devices are asked for. */
export async function noteVolumes(tx: Tx, server: Pick<Server, "id" | "hasVolumes">): Promise<void> {
  if (server.hasVolumes) return
  await tx.updateTable("compute.server").set({ has_volumes: true }).where("id", "=", server.id).execute()
}

/** The volume is given back, and the row is gone. Repeatable. */
export async function giveBackVolume(ctx: Ctx, tx: Tx, device: AttachedDevice, actor: Actor): Promise<void> {
  await tx.deleteFrom("compute.block_device").where("id", "=", device.id).execute()
  await releaseVolume(ctx, tx, device, plainActor(actor))
}

/** All of them, once no machine has them: those that are to go with the server go. Repeatable. */
export async function giveBackVolumes(
  ctx: Ctx,
  tx: Tx,
  server: Pick<Server, "id" | "hasVolumes">,
  actor: Actor,
): Promise<void> {
  for (const device of (await selectDevices(tx, server)).filter(hasVolume)) {
    await giveBackVolume(ctx, tx, device, actor)
    if (device.deleteOnTermination) await deleteServerVolume(ctx, tx, device.volumeId, plainActor(actor))
  }
  await tx.deleteFrom("compute.block_device").where("server_id", "=", server.id).execute()
}

/** A volume as a part of a machine. */
export interface MachineVolume {
  device: AttachedDevice
  /** What the guest is held to. */
  ioLimits?: IoLimits | undefined
  volume: Volume & { host: string; backend: string }
}

/** What the machine of the server is made with now. */
export async function machineVolumes(
  db: DbOrTx,
  server: Pick<Server, "id" | "hasVolumes">,
): Promise<MachineVolume[]> {
  const devices = (await selectDevices(db, server))
    .filter(hasVolume)
    .filter(({ state }) => state !== "detaching")
  const volumes = await volumesByIds(
    db,
    devices.map(({ volumeId }) => volumeId),
  )
  const limits = await ioLimitsByAttachments(
    db,
    devices.flatMap(({ attachmentId }) => attachmentId ?? []),
  )
  return devices.flatMap((device) => {
    const volume = volumes.get(device.volumeId)
    // Of one that was forced away there is nothing to give to a machine.
    if (!volume || !isPlaced(volume)) return []
    return [{ device, volume, ioLimits: limits.get(device.attachmentId ?? "") }]
  })
}

function isPlaced(volume: Volume): volume is MachineVolume["volume"] {
  return volume.host !== null && volume.backend !== null
}

/** Before volumes of the server that other hosts had are handed over to this one: no machine there has them. */
export async function askOldHosts(
  ctx: Ctx,
  server: Pick<Server, "id" | "hasVolumes">,
  host: string,
  signal: AbortSignal,
): Promise<void> {
  for (const { volumeId } of (await selectDevices(ctx.db, server)).filter(hasVolume))
    await askWhetherFree(ctx, volumeId, host, signal)
}

/** Where the volumes of the server lie, or what they are to be made from, and where they can be. */
export async function reachOfVolumes(
  platform: Pick<Platform, "clock" | "config">,
  db: DbOrTx,
  server: Pick<Server, "id" | "hasVolumes">,
  lostHost: string | null = null,
): Promise<Reach[]> {
  const devices = await selectDevices(db, server)
  const planned = devices.filter(({ volumeId }) => volumeId === null)
  return await reachOf(platform, db, {
    lostHost,
    volumeIds: devices.flatMap(({ volumeId }) => volumeId ?? []),
    snapshotIds: planned.flatMap(({ sourceType, sourceId }) =>
      sourceType === "snapshot" && sourceId !== null ? [sourceId] : [],
    ),
  })
}

/** From which all can be had. */
export function hostsOfAll([first, ...rest]: readonly Reach[]): string[] {
  if (!first) return []
  return [first.host, ...first.others].filter((name) => rest.every((one) => isReached(one, name)))
}

export const isReached = ({ host, others }: Reach, name: string) => host === name || others.includes(name)
