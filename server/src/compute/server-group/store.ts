import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import type { GroupPlacement, GroupPolicy } from "./server-group.ts"

/**
 * Where the members of the group are, but for one server. Holds the group until the transaction ends: two of its
 * servers that look for a host at the same time would otherwise not see each other. Who only asks (`isHeld: false`)
 * holds nobody up.
 */
export async function selectGroupPlacement(
  tx: Tx,
  id: string,
  serverId: string,
  { isHeld } = { isHeld: true },
): Promise<GroupPlacement | null> {
  const held = await sql<{ policy: GroupPolicy; max: number | null }>`
    select policy, max_servers_per_host as max from compute.server_group where id = ${id}
    ${sql.raw(isHeld ? "for no key update" : "")}`.execute(tx)
  const group = held.rows[0]
  if (!group) return null
  const found = await sql<{ host: string; n: number }>`
    select host, count(*) as n from compute.server
    where server_group_id = ${id} and deleted_at is null and host is not null and id <> ${serverId}
    group by host`.execute(tx)
  return {
    policy: group.policy,
    members: new Map(found.rows.map((row) => [row.host, row.n])),
    maxPerHost: group.max ?? 1,
  }
}
