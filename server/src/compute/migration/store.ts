import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { MigrationStatus, MigrationType } from "./migration.ts"

export interface NewMigration {
  serverId: string
  projectId: string
  userId: string
  generation: number
  type: MigrationType
  sourceHost: string
  /** Null: it is chosen later. */
  destHost: string | null
  oldFlavorId: string
  newFlavorId: string
}

const firstStatuses: Readonly<Partial<Record<MigrationType, MigrationStatus>>> = {
  "live-migration": "preparing",
  evacuation: "accepted",
}

export async function insertMigration(tx: Tx, m: NewMigration): Promise<void> {
  const number = (flavorId: string) =>
    sql`coalesce((select number from compute.flavor where flavor_id = ${flavorId}), 0)`
  await sql`insert into compute.migration (id, server_id, project_id, user_id, generation, type, status, source_host,
      dest_host, old_flavor_number, new_flavor_number)
    values (${newUuid()}, ${m.serverId}, ${m.projectId}, ${m.userId}, ${m.generation}, ${m.type},
      ${firstStatuses[m.type] ?? "migrating"},
      ${m.sourceHost}, ${m.destHost ?? ""}, ${number(m.oldFlavorId)}, ${number(m.newFlavorId)})`.execute(tx)
}

/**
 * Of the server's last one, or of the one of this task, when it is in one of these states; otherwise nothing is
 * changed. Repeatable.
 */
export async function setMigrationStatus(
  db: DbOrTx,
  serverId: string,
  from: readonly MigrationStatus[],
  to: MigrationStatus,
  generation?: number,
): Promise<void> {
  const which =
    generation === undefined
      ? sql`number = (select max(number) from compute.migration where server_id = ${serverId})`
      : sql`server_id = ${serverId} and generation = ${generation}`
  await sql`update compute.migration set status = ${to}, updated_at = now()
    where ${which} and status = any(${from})`.execute(db)
}

/** Whether no move of the server has begun since this task's: what it has left is its own then. */
export async function isLastMigration(db: DbOrTx, serverId: string, generation: number): Promise<boolean> {
  const { rows } = await sql<{ isLast: boolean }>`select generation = ${generation} as "isLast"
    from compute.migration where server_id = ${serverId} order by number desc limit 1`.execute(db)
  return rows[0]?.isLast === true
}

/** By Nova's number. */
export async function findMigration(
  db: DbOrTx,
  serverId: string,
  number: string,
): Promise<{ number: string; type: MigrationType; status: MigrationStatus } | undefined> {
  if (!/^\d{1,18}$/.test(number)) return undefined
  const { rows } = await sql<{ number: string; type: MigrationType; status: MigrationStatus }>`
    select number::text, type, status from compute.migration
    where server_id = ${serverId} and number = ${number}::bigint`.execute(db)
  return rows[0]
}

/** The host that was chosen for the server's last one. Repeatable. */
export async function setMigrationDestination(db: DbOrTx, serverId: string, host: string): Promise<void> {
  await sql`update compute.migration set dest_host = ${host}, updated_at = now()
    where number = (select max(number) from compute.migration where server_id = ${serverId})`.execute(db)
}

/** Where the one of this task began. */
export async function sourceOfMigration(
  db: DbOrTx,
  serverId: string,
  generation: number,
): Promise<string | null> {
  const { rows } = await sql<{ host: string }>`select source_host as host from compute.migration
    where server_id = ${serverId} and generation = ${generation}`.execute(db)
  return rows[0]?.host ?? null
}

/** Where the server is going just now; null: it is on no way, or none is chosen yet. */
export async function destinationOf(db: DbOrTx, serverId: string): Promise<string | null> {
  const { rows } = await sql<{
    host: string | null
  }>`select nullif(dest_host, '') as host from compute.migration
    where number = (select max(number) from compute.migration where server_id = ${serverId})
      and status in ('migrating', 'queued', 'preparing', 'running', 'accepted', 'pre-migrating')`.execute(db)
  return rows[0]?.host ?? null
}

export interface Evacuation {
  number: number
  serverId: string
  status: MigrationStatus
}

/** From this host, of which something may be left there; see `migration_open_evacuation`. */
export async function selectEvacuations(db: DbOrTx, host: string): Promise<Evacuation[]> {
  const { rows } = await sql<Evacuation>`select number, server_id as "serverId", status from compute.migration
    where type = 'evacuation' and status in ('accepted', 'pre-migrating', 'done', 'failed') and source_host = ${host}
    order by number`.execute(db)
  return rows
}

/** Those of these hosts that have such evacuations, and that no operator has said to be down. */
export async function selectReturned(db: DbOrTx, hosts: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select name from compute.host h
    where name = any(${[...hosts]}::text[]) and not is_forced_down and exists (select from compute.migration
      where type = 'evacuation' and status in ('accepted', 'pre-migrating', 'done', 'failed') and source_host = h.name)`.execute(
    db,
  )
  return rows.map(({ name }) => name)
}

/** Nothing is left of them on the host before: as Nova says it once that is back, of one that went well. */
export async function completeEvacuations(db: DbOrTx, numbers: readonly number[]): Promise<void> {
  if (numbers.length === 0) return
  await sql`update compute.migration set updated_at = now(),
      status = case status when 'done' then 'completed' else 'error' end
    where number = any(${[...numbers]}::bigint[]) and status in ('done', 'failed')`.execute(db)
}
