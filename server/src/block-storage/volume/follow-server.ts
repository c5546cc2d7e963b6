// A volume in storage that several hosts reach goes along with its server, which goes to another of these hosts while
// it runs. The machine there opens it before the one here lets go of it, so from before that until the guest goes on no
// task gets the volume: it is on its way, as one is that is moved. Whose it is changes with whose the server is, in the
// same transaction; and when it comes to nothing, the volume is as it was.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { volumeInvalid, volumeSuperseded } from "../faults.ts"
import type { Place } from "../pool/place.ts"
import { handOverTo, planHandOver } from "./hand-over.ts"
import { lockVolume } from "./store.ts"

/** The server, as the task has it that takes it elsewhere. */
export interface LeadingServer {
  serverId: string
  generation: number
}

export interface Following {
  volumeId: string
  /** What it lies in, as the host calls that to which it goes. */
  backend: string
}

/** Throws what `handOver` would. What an earlier task of the same server has begun counts no more. */
export async function beginFollowing(
  platform: Platform,
  tx: Tx,
  { serverId, generation }: LeadingServer,
  { volumeId, host }: { volumeId: string; host: string },
): Promise<Following> {
  await stopFollowing(tx, { serverId, volumeId })
  const { backend } = await placeToFollow(platform, tx, volumeId, host)
  const way = { target_host: host, target_backend: backend }
  const leader = { follows_server: serverId, follows_generation: generation }
  const row = tx.updateTable("block_storage.volume").set({ ...way, ...leader })
  await row.where("id", "=", volumeId).execute()
  return { volumeId, backend }
}

/** Throws what `beginFollowing` would. */
export async function checkFollowing(
  platform: Platform,
  tx: Tx,
  volumeId: string,
  host: string,
): Promise<void> {
  await placeToFollow(platform, tx, volumeId, host)
}

async function placeToFollow(platform: Platform, tx: Tx, volumeId: string, host: string): Promise<Place> {
  const plan = await planHandOver(platform, tx, volumeId, host)
  if (plan) return plan.to
  // Two hosts would have it connected at a time.
  throw volumeInvalid(
    `Volume ${volumeId} is reached over a network, and does not come along with a server that runs.`,
  )
}

/**
 * It is the other host's, whether the one before answers or not: the caller knows that the machine there has let go of
 * it. Nobody gets it before `endFollowing`. Repeatable.
 */
export async function arriveFollowing(
  tx: Tx,
  leader: LeadingServer,
  { volumeId, backend }: Following,
): Promise<void> {
  const [volume, isFollowing] = [await lockVolume(tx, volumeId), await follows(tx, leader, volumeId)]
  if (!volume || volume.targetHost === null || !isFollowing) throw volumeSuperseded(volumeId)
  if (volume.host === volume.targetHost) return
  await handOverTo(tx, { ...volume, targetHost: null }, { host: volume.targetHost, backend })
}

async function follows(tx: Tx, { serverId, generation }: LeadingServer, volumeId: string): Promise<boolean> {
  const { rows } = await sql`select from block_storage.volume where id = ${volumeId}
    and follows_server = ${serverId} and follows_generation = ${generation}`.execute(tx)
  return rows.length > 0
}

/** All that do are where they are. Repeatable: what a later task of the server has begun stays. */
export async function endFollowing(tx: Tx, { serverId, generation }: LeadingServer): Promise<void> {
  await tx
    .updateTable("block_storage.volume")
    .set(nowhere)
    .where("follows_server", "=", serverId)
    .where("follows_generation", "=", generation)
    .execute()
}

/** The server has it no more, or goes nowhere. */
export async function stopFollowing(
  tx: Tx,
  { serverId, volumeId }: { serverId: string; volumeId: string },
): Promise<void> {
  await tx
    .updateTable("block_storage.volume")
    .set(nowhere)
    .where("id", "=", volumeId)
    .where("follows_server", "=", serverId)
    .execute()
}

const nowhere = { target_host: null, target_backend: null, follows_server: null, follows_generation: null }
