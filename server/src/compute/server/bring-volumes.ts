// Volumes of a server that goes to another host, in storage that both hosts reach: they become that host's.
import { checkHandOver, handOver } from "../../block-storage/index.ts"
import type { StepContext } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { callAgent } from "../agent-call.ts"
import { askOldHosts, hasVolume, selectDevices } from "./block-device.ts"
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
export async function takeVolumes(s: Step, server: Server, host: string): Promise<void> {
  const { generation } = s.params
  for (const { volumeId } of (await selectDevices(s.ctx.db, server)).filter(hasVolume)) {
    const command = { serverId: server.id, volumeId, fence: { generation, fence: s.fence } }
    await callAgent(s.ctx, host, "vm.unplug_volume", command, { signal: s.signal })
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
