// Volumes of a server that goes to another host, in storage that both hosts reach: they become that host's.
import {
  arriveFollowing,
  beginFollowing,
  checkFollowing,
  checkHandOver,
  checkTakeOver,
  type Following,
  giveBackTaken,
  handOver,
  reachOf,
  takeOver,
} from "../../block-storage/index.ts"
import type { StepContext } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { badRequest, serverNotReady } from "../faults.ts"
import { type AttachedDevice, askOldHosts, hasVolume, hostsOfAll, selectDevices } from "./block-device.ts"
import type { Server } from "./server.ts"
import { heldServer, type TaskParams } from "./task.ts"

type Step = StepContext<TaskParams, object>

/** Those that another host had are this one's. Its machine of the server must not have them any more. Repeatable. */
export async function bringVolumes(s: Step, server: Server, host: string): Promise<void> {
  await askOldHosts(s.ctx, server, host, s.signal)
  await s.transact(async (tx) => {
    await heldServer({ db: tx }, s.params)
    for (const { volumeId } of (await selectDevices(tx, server)).filter(hasVolume))
      await handOver(s.ctx, tx, volumeId, host)
  })
}

/** The server's machine on this host is off, and has no volumes from now on. Repeatable. */
export async function takeVolumes(s: Step, server: Server, host: string, timeoutMs?: number): Promise<void> {
  const { generation } = s.params
  const how = { signal: s.signal, ...(timeoutMs === undefined ? {} : { timeoutMs }) }
  for (const { volumeId } of (await selectDevices(s.ctx.db, server)).filter(hasVolume)) {
    const command = { serverId: server.id, volumeId, fence: { generation, fence: s.fence } }
    await callAgent(s.ctx, host, "vm.unplug_volume", command, how)
  }
}

/** Throws when one of them cannot come to this host: `bringVolumes` would throw the same. */
export async function checkVolumesReach(
  platform: Platform,
  tx: Tx,
  server: Server,
  host: string,
): Promise<void> {
  for (const { volumeId } of (await selectDevices(tx, server)).filter(hasVolume))
    await checkHandOver(platform, tx, volumeId, host)
}

/** None is on its way to the server's machine or away from it; a move would lose it. */
export async function hasSettledVolumes(db: DbOrTx, server: Server): Promise<boolean> {
  return (await selectDevices(db, server)).every(({ state }) => state === "attached")
}

/**
 * Whether the server may leave its host while it runs, as its volumes are: the scheduler looks again, and so does who
 * hands them over. Host null: to any other one.
 */
export async function checkVolumesFollow(
  platform: Platform,
  tx: Tx,
  server: Server,
  { from, to }: { from: string; to: string | null },
): Promise<void> {
  if (!(await hasSettledVolumes(tx, server)))
    throw badRequest(
      `A volume is on its way to server ${server.id} or away from it; migrate the server when that is over.`,
    )
  const reaches = []
  for (const { volumeId } of await attachedDevices(tx, server)) {
    const [reach] = await reachOf(platform, tx, { volumeIds: [volumeId], snapshotIds: [] })
    if (!reach) continue
    const others = [reach.host, ...reach.others].filter((host) => host !== from)
    if (to === null ? others.length === 0 : !others.includes(to))
      throw badRequest(
        `Volume ${volumeId} keeps server ${server.id} on ${from}: it cannot be reached from ${to ?? "another host"}.`,
      )
    reaches.push(reach)
  }
  if (reaches.length === 0) return
  const host = to ?? hostsOfAll(reaches).find((name) => name !== from)
  if (host === undefined)
    throw badRequest(`Its volumes keep server ${server.id} on ${from}: no other host reaches all of them.`)
  for (const { volumeId } of await attachedDevices(tx, server))
    await checkFollowing(platform, tx, volumeId, host)
}

/** The host may open them from now on, beside the one that has them, and no other task gets one. */
export async function beginVolumesFollow(
  platform: Platform,
  tx: Tx,
  server: Server,
  host: string,
): Promise<Following[]> {
  const all: Following[] = []
  const leader = { serverId: server.id, generation: server.generation }
  for (const { volumeId } of await attachedDevices(tx, server))
    all.push(await beginFollowing(platform, tx, leader, { volumeId, host }))
  return all
}

/** All or, as it throws, none: the server has others than those that its machine there was made with. */
export async function arriveVolumes(tx: Tx, server: Server, following: readonly Following[]): Promise<void> {
  const has = await attachedDevices(tx, server)
  const isSame = has.length === following.length && (await hasSettledVolumes(tx, server))
  if (!isSame || !has.every(({ volumeId }) => following.some((one) => one.volumeId === volumeId)))
    throw serverNotReady(server.id)
  const leader = { serverId: server.id, generation: server.generation }
  for (const one of following) await arriveFollowing(tx, leader, one)
}

async function attachedDevices(tx: Tx, server: Server): Promise<AttachedDevice[]> {
  return (await selectDevices(tx, server)).filter(hasVolume)
}

export interface LostHost {
  /** That is down. */
  from: string
  to: string
}

/** They are the new host's, without a word of the one that had them. The caller has seen in `tx` that it is down. */
export async function bringLostVolumes(
  platform: Platform,
  tx: Tx,
  server: Server,
  way: LostHost,
): Promise<void> {
  for (const { volumeId } of await attachedDevices(tx, server))
    await takeOver(platform, tx, { volumeId, ...way })
}

/** Throws what `bringLostVolumes` would throw now, whatever the new host that reaches them. */
export async function checkLostVolumes(tx: Tx, server: Server, from: string): Promise<void> {
  for (const { volumeId } of await attachedDevices(tx, server)) await checkTakeOver(tx, { volumeId, from })
}

/** Back again, once no machine of the new host has them. */
export async function returnLostVolumes(tx: Tx, server: Server, way: LostHost): Promise<void> {
  for (const { volumeId } of await attachedDevices(tx, server)) await giveBackTaken(tx, { volumeId, ...way })
}
