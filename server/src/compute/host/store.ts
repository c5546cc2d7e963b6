import { type Selectable, sql } from "kysely"
import type { HostDescription } from "../../agent/protocol.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import type { HostTable } from "../tables.ts"
import type { Host } from "./host.ts"

type HostRow = Selectable<HostTable> & { silent_ms: number }

/** Of one clock, whoever reads the row. */
export const hostSilentMs = sql<number>`extract(epoch from clock_timestamp() - last_seen_at)::float8 * 1000`

function hostOf(row: HostRow): Host {
  return {
    name: row.name,
    id: row.id,
    serviceId: row.service_id,
    number: row.number,
    description: row.description,
    lastSeenAt: row.last_seen_at,
    silentMs: row.silent_ms,
    isDisabled: row.is_disabled,
    disabledReason: row.disabled_reason,
    isForcedDown: row.is_forced_down,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

function selectHostRows(db: DbOrTx) {
  return db.selectFrom("compute.host").selectAll().select(hostSilentMs.as("silent_ms"))
}

export async function selectHosts(db: DbOrTx): Promise<Host[]> {
  const rows = await selectHostRows(db).orderBy("number").execute()
  return rows.map(hostOf)
}

export async function selectHost(db: DbOrTx, name: string): Promise<Host | undefined> {
  const row = await selectHostRows(db).where("name", "=", name).executeTakeFirst()
  return row && hostOf(row)
}

/** Notes that a host lives that is as it was, and says for how long it was silent. Undefined: it is new, or has changed. */
export async function touchHost(
  db: DbOrTx,
  report: { name: string; description: HostDescription },
): Promise<{ silentMs: number } | undefined> {
  const { rows } = await sql<{ silentMs: number }>`
    with before as (select name, ${hostSilentMs} as silent_ms from compute.host where name = ${report.name} for update)
    update compute.host h set last_seen_at = clock_timestamp() from before
    where h.name = before.name and h.description = ${JSON.stringify(report.description)}::jsonb
    returning before.silent_ms as "silentMs"`.execute(db)
  return rows[0]
}

/** Notes that the host lives; the first report makes its row. Says whether the description is news. */
export async function upsertHost(
  tx: Tx,
  report: { name: string; description: HostDescription },
): Promise<{ host: Host; isChanged: boolean }> {
  const description = JSON.stringify(report.description)
  const found = await sql<HostRow & { is_changed: boolean }>`
    with before as (select description from compute.host where name = ${report.name} for update)
    insert into compute.host as h (name, id, service_id, description, last_seen_at)
    values (${report.name}, ${newUuid()}, ${newUuid()}, ${description}::jsonb, clock_timestamp())
    on conflict (name) do update
      set last_seen_at = excluded.last_seen_at, description = excluded.description
    returning h.*, ${hostSilentMs} as silent_ms,
      coalesce((select before.description from before) is distinct from ${description}::jsonb, true) as is_changed
  `.execute(tx)
  const row = found.rows[0]
  if (!row) throw new Error("an upsert gave no row")
  return { host: hostOf(row), isChanged: row.is_changed }
}

export interface HostChanges {
  isDisabled?: boolean
  disabledReason?: string | null
  isForcedDown?: boolean
}

export async function updateHost(tx: Tx, name: string, c: HostChanges): Promise<Host | undefined> {
  const row = await tx
    .updateTable("compute.host")
    .set({
      ...(c.isDisabled !== undefined && { is_disabled: c.isDisabled }),
      ...(c.disabledReason !== undefined && { disabled_reason: c.disabledReason }),
      ...(c.isForcedDown !== undefined && { is_forced_down: c.isForcedDown }),
      updated_at: sql<Date>`now()`,
    })
    .where("name", "=", name)
    .returningAll()
    .returning(hostSilentMs.as("silent_ms"))
    .executeTakeFirst()
  return row && hostOf(row)
}

export async function deleteHost(tx: Tx, name: string): Promise<boolean> {
  const done = await tx.deleteFrom("compute.host").where("name", "=", name).executeTakeFirst()
  return done.numDeletedRows > 0n
}

export interface HostLoad {
  host: string
  servers: number
  vcpus: number
  ramMib: number
  diskGib: number
}

/** What the servers of each host take, by our own rows. */
export async function selectHostLoads(db: DbOrTx): Promise<Map<string, HostLoad>> {
  const found = await sql<HostLoad>`
    select host, count(*) as servers, sum(vcpus)::bigint as vcpus, sum(ram_mib)::bigint as "ramMib",
      coalesce(sum((flavor->>'diskGib')::int + (flavor->>'ephemeralGib')::int), 0)::bigint as "diskGib"
    from compute.server where deleted_at is null and host is not null group by host`.execute(db)
  return new Map(found.rows.map((row) => [row.host, row]))
}

export async function selectServersOfHost(
  db: DbOrTx,
  host: string,
): Promise<{ id: string; number: number }[]> {
  return await db
    .selectFrom("compute.server")
    .select(["id", "number"])
    .where("host", "=", host)
    .where("deleted_at", "is", null)
    .orderBy("number")
    .execute()
}
