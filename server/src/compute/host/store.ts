import { sql } from "kysely"
import type { HostDescription } from "../../agent/protocol.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type ListQuery, listThings } from "../../platform/noun/list.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { everything } from "../viewer.ts"
import { type Host, hostNoun, hostSilentMs } from "./host.ts"

/** All that the query asks for, in the order of their first reports. */
export async function selectHosts(db: DbOrTx, query: ListQuery = {}): Promise<Host[]> {
  return await listThings(db, hostNoun, everything, query)
}

export async function selectHost(db: DbOrTx, name: string): Promise<Host | undefined> {
  return (await selectHosts(db, { filters: { name: [name] } }))[0]
}

export interface MetadataHost {
  name: string
  /** Whether it answers guests at 169.254.169.254. Null: its agent is too old to say. */
  hasMetadata: boolean | null
  isUp: boolean
}

export async function selectMetadataHosts(db: DbOrTx, downAfterMs: number): Promise<MetadataHost[]> {
  const { rows } = await sql<MetadataHost>`
    select name, (description->'abilities'->>'metadata')::boolean as "hasMetadata",
      not is_forced_down and ${hostSilentMs} <= ${downAfterMs} as "isUp"
    from compute.host order by name`.execute(db)
  return rows
}

/**
 * Notes that hosts live that are as they were, and says for how long each was silent; those that are new or have
 * changed are not among them. However many: one statement, one commit.
 */
export async function touchHosts(
  db: DbOrTx,
  reports: readonly { name: string; description: HostDescription }[],
): Promise<Map<string, number>> {
  const names = reports.map(({ name }) => name)
  const descriptions = reports.map(({ description }) => JSON.stringify(description))
  const { rows } = await sql<{ name: string; silentMs: number }>`
    with said as (select * from unnest(${names}::text[], ${descriptions}::jsonb[]) s (name, description)),
    before as (select name, ${hostSilentMs} as silent_ms from compute.host
      where name = any(${names}::text[]) order by name for update)
    update compute.host h set last_seen_at = clock_timestamp() from before join said using (name)
    where h.name = before.name and h.description = said.description
    returning h.name, before.silent_ms as "silentMs"`.execute(db)
  return new Map(rows.map(({ name, silentMs }) => [name, silentMs]))
}

/** A host that was silent for two reports is back with the third: what waited for it goes on. */
export const backAfterMs = 25_000

/** Notes that the host lives; nobody else says anything of it before the transaction ends. Undefined: there is none. */
export async function touchHost(
  tx: Tx,
  name: string,
): Promise<{ isForcedDown: boolean; wasSilent: boolean } | undefined> {
  const { rows } = await sql<{ isForcedDown: boolean; wasSilent: boolean }>`
    with before as (select name, ${hostSilentMs} as silent_ms from compute.host where name = ${name} for update)
    update compute.host h set last_seen_at = clock_timestamp() from before where h.name = before.name
    returning h.is_forced_down as "isForcedDown", before.silent_ms >= ${backAfterMs} as "wasSilent"`.execute(
    tx,
  )
  return rows[0]
}

/** As if it had been silent for so long; its next report ends that. */
export async function markSilent(db: DbOrTx, name: string, silentMs: number): Promise<void> {
  await sql`
    update compute.host
    set last_seen_at = least(last_seen_at, clock_timestamp() - (${silentMs} + 1) * interval '1 millisecond')
    where name = ${name}`.execute(db)
}

/** Notes that the host lives; the first report makes its row. Says whether the description is news. */
export async function upsertHost(
  tx: Tx,
  report: { name: string; description: HostDescription },
): Promise<{ host: Host; isChanged: boolean }> {
  const description = JSON.stringify(report.description)
  const { rows } = await sql<Host & { isChanged: boolean }>`
    with before as (select description from compute.host where name = ${report.name} for update)
    insert into compute.host as h (name, id, service_id, description, last_seen_at)
    values (${report.name}, ${newUuid()}, ${newUuid()}, ${description}::jsonb, clock_timestamp())
    on conflict (name) do update
      set last_seen_at = excluded.last_seen_at, description = excluded.description
    returning ${sql.join(fieldsOf(hostNoun, everything))},
      coalesce((select before.description from before) is distinct from ${description}::jsonb, true) as "isChanged"
  `.execute(tx)
  const [row] = rows
  if (!row) throw new Error("an upsert gave no row")
  const { isChanged, ...host } = row
  return { host, isChanged }
}

export interface HostLoad {
  host: string
  servers: number
  vcpus: number
  ramMib: number
  diskGib: number
}

/** What the servers of these hosts take, by our own rows. */
export async function selectHostLoads(db: DbOrTx, hosts: readonly string[]): Promise<Map<string, HostLoad>> {
  const found = await sql<HostLoad>`
    select host, count(*) as servers, sum(vcpus)::bigint as vcpus, sum(ram_mib)::bigint as "ramMib",
      coalesce(sum((flavor->>'diskGib')::int + (flavor->>'ephemeralGib')::int), 0)::bigint as "diskGib"
    from compute.server where deleted_at is null and host = any(${hosts}::text[]) group by host`.execute(db)
  return new Map(found.rows.map((row) => [row.host, row]))
}

/** The same, of one host, by project. */
export async function selectProjectLoads(
  db: DbOrTx,
  host: string,
): Promise<(HostLoad & { projectId: string })[]> {
  const { rows } = await sql<HostLoad & { projectId: string }>`
    select host, project_id as "projectId", count(*) as servers, sum(vcpus)::bigint as vcpus,
      sum(ram_mib)::bigint as "ramMib",
      coalesce(sum((flavor->>'diskGib')::int + (flavor->>'ephemeralGib')::int), 0)::bigint as "diskGib"
    from compute.server where deleted_at is null and host = ${host}
    group by host, project_id order by project_id`.execute(db)
  return rows
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

/** For the scheduler: one more build that failed on the host. */
export async function noteFailedBuild(tx: Tx, host: string): Promise<void> {
  await sql`update compute.host set failed_builds = failed_builds + 1 where name = ${host}`.execute(tx)
}

/** One has succeeded. */
export async function forgetFailedBuilds(tx: Tx, host: string): Promise<void> {
  await sql`update compute.host set failed_builds = 0 where name = ${host} and failed_builds > 0`.execute(tx)
}
