// Of the live migrations that leave one host only so many are under way at a time, as each would have the less of its
// network; the others wait in the order in which they were asked for.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"

interface Leaving {
  host: string
  serverId: string
  generation: number
}

/** over: somebody has cancelled it while it waited. */
export type Turn = "runs" | "waits" | "over"

/**
 * Its status says so afterwards. Those whose server is in other hands by now are not waited for. `most` 0: all go at
 * once. Nobody else looks before the transaction ends.
 */
export async function takeTurnToLeave(
  tx: Tx,
  { host, serverId, generation }: Leaving,
  most: number,
): Promise<Turn> {
  const { rows: open } = await sql<{ number: string; status: string; isOwn: boolean; isHeld: boolean }>`
    select m.number, m.status, m.server_id = ${serverId} and m.generation = ${generation} as "isOwn",
      exists (select from compute.server s where s.id = m.server_id and s.generation = m.generation
        and s.task_state = 'migrating' and s.deleted_at is null) as "isHeld"
    from compute.migration m
    where m.source_host = ${host} and m.type = 'live-migration' and m.status in ('queued', 'preparing', 'running')
    order by m.number for update of m`.execute(tx)
  const own = open.find(({ isOwn }) => isOwn)
  if (!own) return "over"
  // A try before this one was broken off.
  if (own.status === "running") return "runs"
  const before = open.slice(0, open.indexOf(own)).concat(open.filter(({ status }) => status === "running"))
  const ahead = new Set(before.filter(({ isHeld }) => isHeld).map(({ number }) => number))
  const turn: Turn = most === 0 || ahead.size < most ? "runs" : "waits"
  await sql`update compute.migration set status = ${turn === "runs" ? "running" : "queued"}, updated_at = now()
    where number = ${own.number} and (status <> 'queued' or ${turn === "runs"})`.execute(tx)
  return turn
}

/** Of one that waits. False: it does not, or not any more. */
export async function cancelQueued(tx: Tx, number: string): Promise<boolean> {
  const { numAffectedRows } = await sql`update compute.migration set status = 'cancelled', updated_at = now()
    where number = ${number}::bigint and type = 'live-migration' and status = 'queued'`.execute(tx)
  return (numAffectedRows ?? 0n) > 0n
}
