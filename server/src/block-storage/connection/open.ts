// A volume that stays on its host, for a machine of another one: the host of the machine asks for it when the machine
// is about to open it, and the volume's host gives it to that one alone. The secret is made there, and kept by these
// two.
import { sql } from "kysely"
import type { VolumeConnection } from "../../agent/protocol.ts"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { callAgent } from "../agent-call.ts"
import { volumeConnectionRefused } from "../faults.ts"

interface Wanted {
  host: string
  backend: string
  generation: number
}

/** For a host that a server's attachment names. Throws `unavailable` while the volume's host does not answer. */
export async function openVolumeConnection(
  platform: Platform,
  { host, volumeId }: { host: string; volumeId: string },
): Promise<VolumeConnection> {
  const wanted = isUuid(volumeId) ? await note(platform, { host, volumeId }) : undefined
  if (!wanted) throw volumeConnectionRefused(volumeId)
  const { backend, generation } = wanted
  const command = { volumeId, backend, host, fence: { generation, fence: 0 } }
  return await callAgent(platform, wanted.host, "volume.connect", command)
}

/** Before the volume's host hears of it, so that it is taken back whatever becomes of the answer. */
async function note(
  { db }: Platform,
  { host, volumeId }: { host: string; volumeId: string },
): Promise<Wanted | undefined> {
  return await transact(db, async (tx) => {
    const { rows } = await sql<Wanted>`with wanted as (
        select v.id, v.host, v.backend from block_storage.volume v
          join block_storage.attachment a on a.volume_id = v.id and a.is_of_server and a.host = ${host}
          where v.id = ${volumeId} and v.host <> ${host} for update of v),
      noted as (insert into block_storage.connection (volume_id, host, generation)
        select id, ${host}, nextval('block_storage.connection_generation') from wanted
        on conflict (volume_id) do update set host = excluded.host, initiator = null, hold = null,
          generation = excluded.generation
        returning volume_id, generation::float8 as generation)
      select w.host, w.backend, n.generation from wanted w join noted n on n.volume_id = w.id`.execute(tx)
    return rows[0]
  })
}
