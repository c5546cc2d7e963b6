// Takes volumes back from hosts whose machines have them no more, and from initiators for whom nobody reserves them
// any more.
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"
import { upSince } from "../pool/place.ts"

/** Of a pass; the others wait for the next one. */
const atOnceMost = 100

export const connectionsReconciler: Reconciler = {
  name: "block_storage.connections",
  intervalMs: 10_000,
  timeoutMs: 120_000,
  run: endConnections,
}

interface Ended {
  volumeId: string
  host: string
  backend: string
  generation: number
}

interface ConnectionsStatus extends Record<string, number> {
  ended: number
  failed: number
}

export async function endConnections(platform: Platform, signal: AbortSignal): Promise<ConnectionsStatus> {
  const status = { ended: 0, failed: 0 }
  for (const { volumeId, host, backend, generation } of await due(platform)) {
    if (signal.aborted) break
    try {
      // A newer one is another machine's, and the host has heard of it.
      const command = { volumeId, backend, fence: { generation, fence: 0 } }
      await unlessOvertaken(callAgent(platform, host, "volume.disconnect", command, { signal }))
      await platform.db
        .deleteFrom("block_storage.connection")
        .where("volume_id", "=", volumeId)
        .where("generation", "=", generation)
        .execute()
      status.ended++
    } catch (error) {
      status.failed++
      await platform.db
        .updateTable("block_storage.connection")
        .set({ tried_at: platform.clock.now() })
        .where("volume_id", "=", volumeId)
        .execute()
      const facts = { host, volumeId, err: describeError(error) }
      platform.log.warn(facts, "a volume was not taken back from the host that had it")
    }
  }
  return status
}

/** Of hosts that answer. */
async function due(platform: Platform): Promise<Ended[]> {
  const { rows } = await sql<Ended>`
    select c.volume_id as "volumeId", v.host, v.backend, c.generation::float8 as generation
      from block_storage.connection c
      join block_storage.volume v on v.id = c.volume_id
      join block_storage.pool p on p.host = v.host and p.backend = v.backend and p.reported_at > ${upSince(platform)}
      where case when c.initiator is null then not exists (select from block_storage.attachment a
          where a.volume_id = c.volume_id and a.is_of_server and a.host = c.host)
        else c.hold is null or v.status in ('available', 'awaiting-transfer', 'deleting') end
      order by c.tried_at nulls first, c.volume_id limit ${atOnceMost}`.execute(platform.db)
  return rows
}
