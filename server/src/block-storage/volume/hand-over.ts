// A volume in storage that several hosts reach becomes another host's, without a byte of it moving. Its commands all
// go to the host that its row names, which is the host of the machine that has it: that one alone can take a copy of
// one moment, or let the guest see that it has grown. So it is handed over before a machine of another host opens it.
//
// What the rows say of machines is not enough: a server may be deleted while its host is cut off, and its guest runs
// on. So the host that had the volume is asked whether a machine there has it, and one that does not answer keeps it.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { volumeElsewhere, volumeInvalid } from "../faults.ts"
import { carryRoom, type Place } from "../pool/place.ts"
import { isPlaceReachable } from "../pool/reachable.ts"
import { isConnected, placeInShare } from "../pool/share.ts"
import { isBeingCopied } from "./copies.ts"
import { lockVolume, selectVolume } from "./store.ts"
import type { Volume, VolumeStatus } from "./volume.ts"

/** No task has it then. */
const idle: ReadonlySet<VolumeStatus> = new Set<VolumeStatus>([
  "available",
  "reserved",
  "attaching",
  "in-use",
])

const refused = (id: string, why: string) =>
  volumeInvalid(`Volume ${id} cannot come to another host now: ${why}`)

/** Before `handOver`, outside of its transaction. Throws `volumeInvalid` when a machine of its host may have it. */
export async function askWhetherFree(
  platform: Platform,
  volumeId: string,
  host: string,
  signal?: AbortSignal,
): Promise<void> {
  const volume = await selectVolume(platform.db, volumeId)
  if (!volume || volume.host === null || volume.backend === null || volume.host === host) return
  const place = { host: volume.host, backend: volume.backend }
  await mustAnswer(platform, volumeId, place)
  const asked = { volumeId, backend: place.backend }
  const { serverId } = await callAgent(
    platform,
    place.host,
    "volume.inspect",
    asked,
    signal ? { signal } : {},
  )
  if (serverId !== null) throw refused(volumeId, "a machine of the host that had it last still has it.")
}

async function mustAnswer(platform: Platform, volumeId: string, place: Place): Promise<void> {
  if (await isPlaceReachable(platform, place)) return
  throw refused(
    volumeId,
    "the host that had it last does not answer, and a guest there may still write to it.",
  )
}

/** What `handOver` would throw. The volume is held, so some of it stays true until the transaction ends. */
export async function checkHandOver(
  platform: Platform,
  tx: Tx,
  volumeId: string,
  host: string,
): Promise<void> {
  await planHandOver(platform, tx, volumeId, host)
}

/**
 * The volume becomes this host's, with its snapshots and the room for them; nothing when it is already. One that
 * machines reach over a network stays where it is. Throws `volumeElsewhere` when the host does not reach it, and
 * `volumeInvalid` when it cannot be another host's now.
 */
export async function handOver(platform: Platform, tx: Tx, volumeId: string, host: string): Promise<void> {
  const plan = await planHandOver(platform, tx, volumeId, host)
  if (plan) await handOverTo(tx, plan.volume, plan.to)
  // Where it stays, its machine's host is another than its own.
  else await noteMachineHost(tx, volumeId, host)
}

async function noteMachineHost(tx: Tx, volumeId: string, host: string): Promise<void> {
  await tx
    .updateTable("block_storage.attachment")
    .set({ host })
    .where("volume_id", "=", volumeId)
    .where("is_of_server", "=", true)
    .where("host", "is not", null)
    .where("host", "<>", host)
    .execute()
}

/** Null: it is that host's. */
export async function planHandOver(
  platform: Platform,
  tx: Tx,
  volumeId: string,
  host: string,
): Promise<{ volume: Volume; to: Place } | null> {
  const volume = await lockVolume(tx, volumeId)
  if (volume?.host === host) {
    if ((await isHadElsewhere(tx, volumeId, host)) && (await hasSeveral(tx, volumeId)))
      throw refused(volumeId, atOneHost)
    return null
  }
  if (!volume || volume.host === null || volume.backend === null) throw volumeElsewhere(volumeId)
  const from = { host: volume.host, backend: volume.backend }
  const to = await placeInShare(platform, tx, from, host)
  const stays = !to && (await isConnected(platform, tx, from, host))
  if (!to && !stays) throw volumeElsewhere(volumeId)
  await mustAnswer(platform, volumeId, from)
  if (!idle.has(volume.status)) throw refused(volumeId, `it is ${volume.status}; wait for that.`)
  if (!to) {
    if (await hasSeveral(tx, volumeId)) throw refused(volumeId, atOneHost)
    return null
  }
  await checkLeavesPlace(tx, volume)
  return { volume, to }
}

/** Throws when its host works for it, or others need it there. They begin nothing until the transaction ends. */
export async function checkLeavesPlace(tx: Tx, volume: Volume): Promise<LockedSnapshot[]> {
  const snapshots = await lockSnapshots(tx, volume.id)
  const why = await whyNotHandOver(tx, volume, snapshots)
  if (why !== null) throw refused(volume.id, why)
  return snapshots
}

/** As `handOver`, for a task that has the volume locked, to a place of the same share. */
export async function handOverTo(tx: Tx, volume: Volume, to: Place): Promise<void> {
  const { id, host, backend, sizeGib } = volume
  if (host === null || backend === null) throw volumeElsewhere(id)
  const snapshots = await checkLeavesPlace(tx, volume)
  const ofSnapshots = snapshots.reduce((sum, one) => sum + (one.hasRoom ? one.sizeGib : 0), 0)
  await carryRoom(tx, { host, backend }, to, sizeGib + ofSnapshots)
  const place = { host: to.host, backend: to.backend }
  await tx.updateTable("block_storage.volume").set(place).where("id", "=", id).execute()
  await tx.updateTable("block_storage.snapshot").set(place).where("volume_id", "=", id).execute()
  await tx
    .updateTable("block_storage.attachment")
    .set({ host: to.host })
    .where("volume_id", "=", id)
    .where("host", "is not", null)
    .execute()
}

interface LockedSnapshot {
  id: string
  status: string
  sizeGib: number
  hasRoom: boolean
}

/** No task of theirs begins until the transaction ends. */
async function lockSnapshots(tx: Tx, volumeId: string): Promise<LockedSnapshot[]> {
  return await tx
    .selectFrom("block_storage.snapshot")
    .select(["id", "status", "size_gib as sizeGib", "has_room as hasRoom"])
    .where("volume_id", "=", volumeId)
    .orderBy("id")
    .forUpdate()
    .execute()
}

/** Its host works for it, or for others that need it where it is. */
async function whyNotHandOver(
  db: DbOrTx,
  { id, groupId, targetHost }: Volume,
  snapshots: readonly LockedSnapshot[],
): Promise<string | null> {
  if (groupId !== null) return "all volumes of a group lie on one back end of one host."
  if (targetHost !== null) return "it is on its way to another place."
  const busy = snapshots.find(({ status }) => !["available", "error", "error_deleting"].includes(status))
  if (busy) return `its snapshot ${busy.id} is ${busy.status}; wait for that.`
  if (await isBeingCopied(db, id)) return "it is being copied; wait for that."
  const { rows } = await sql<{ isUsed: boolean }>`select
    exists (select from block_storage.volume v join block_storage.snapshot s on s.id = v.snapshot_id
      where s.volume_id = ${id} and v.status = 'creating') as "isUsed"`.execute(db)
  if (rows[0]?.isUsed) return "a volume is being made from a snapshot of it; wait for that."
  return (await hasSeveral(db, id)) ? atOneHost : null
}

const atOneHost = "others have it, and all that have a volume are on one host."

async function hasSeveral(db: DbOrTx, volumeId: string): Promise<boolean> {
  const { rows } =
    await sql`select from block_storage.attachment where volume_id = ${volumeId} limit 2`.execute(db)
  return rows.length > 1
}

/** A server of another host has it, over a network. */
async function isHadElsewhere(db: DbOrTx, volumeId: string, host: string): Promise<boolean> {
  const { rows } = await sql`select from block_storage.attachment
    where volume_id = ${volumeId} and is_of_server and host <> ${host} limit 1`.execute(db)
  return rows.length > 0
}
