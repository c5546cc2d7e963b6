// A volume has grown, and with it the disk of each machine that has it: the servers' actions say so. Users see by them
// that their guests know the new size.
import type { VolumeServers } from "../../block-storage/index.ts"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { lockDevice, plainActor } from "./block-device.ts"
import type { Actor } from "./notification.ts"
import { selectServer } from "./store.ts"
import { actorOf } from "./task.ts"

async function noteExtended(tx: Tx, serverId: string, host: string | null, actor: Actor): Promise<void> {
  const { requestId } = actor
  await recordActions(tx, [{ serverId, action: "extend_volume", ...plainActor(actor) }])
  await endAction(tx, { serverId, requestId, event: "compute_extend_volume", host, error: null })
}

export const serversOfVolumes: VolumeServers = {
  extended: async (_platform, tx, _volumeId, serverIds, actor) => {
    for (const serverId of serverIds) {
      const server = await selectServer(tx, serverId)
      if (server) await noteExtended(tx, serverId, server.host, actor)
    }
  },
}

/** Somebody else says so. A guest sees the size of its volume in any case; of one that it has not there is nothing. */
export async function takeExtended(
  ctx: Ctx,
  serverId: string,
  host: string,
  volumeId: string,
): Promise<void> {
  if (!isUuid(volumeId)) return
  await transact(ctx.db, async (tx) => {
    if (await lockDevice(tx, { serverId, volumeId })) await noteExtended(tx, serverId, host, actorOf(ctx))
  })
}
