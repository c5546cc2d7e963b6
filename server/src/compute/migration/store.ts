import { type Selectable, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { changedBetween } from "../changes.ts"
import type { Migration, MigrationStatus } from "./migration.ts"
import type { MigrationTable } from "./tables.ts"

export interface NewMigration {
  serverId: string
  projectId: string
  userId: string
  generation: number
  host: string
  oldFlavorId: string
  newFlavorId: string
}

export async function insertResize(tx: Tx, m: NewMigration): Promise<void> {
  const number = (flavorId: string) =>
    sql`coalesce((select number from compute.flavor where flavor_id = ${flavorId}), 0)`
  await sql`insert into compute.migration (id, server_id, project_id, user_id, generation, type, status, source_host,
      dest_host, old_flavor_number, new_flavor_number)
    values (${newUuid()}, ${m.serverId}, ${m.projectId}, ${m.userId}, ${m.generation}, 'resize', 'migrating',
      ${m.host}, ${m.host}, ${number(m.oldFlavorId)}, ${number(m.newFlavorId)})`.execute(tx)
}

/** Of the server's last one, when it is in one of these states; otherwise nothing is changed. Repeatable. */
export async function setMigrationStatus(
  db: DbOrTx,
  serverId: string,
  from: readonly MigrationStatus[],
  to: MigrationStatus,
): Promise<void> {
  await sql`update compute.migration set status = ${to}, updated_at = now()
    where number = (select max(number) from compute.migration where server_id = ${serverId})
      and status = any(${from})`.execute(db)
}

export interface MigrationFilter {
  serverId?: string | undefined
  /** From or to this host. */
  host?: string | undefined
  sourceHost?: string | undefined
  status?: string | undefined
  type?: string | undefined
  userId?: string | undefined
  projectId?: string | undefined
  changesSince?: Date | undefined
  changesBefore?: Date | undefined
  limit?: number | undefined
  /** Id of the migration after which the page starts. */
  marker?: string | undefined
}

/** Newest first. Undefined for an unknown marker. */
export async function selectMigrations(
  db: DbOrTx,
  filter: MigrationFilter,
): Promise<Migration[] | undefined> {
  const equal = {
    server_id: filter.serverId,
    source_host: filter.sourceHost,
    status: filter.status,
    type: filter.type,
    user_id: filter.userId,
    project_id: filter.projectId,
  }
  const terms = Object.entries(equal).flatMap(([column, value]) =>
    value === undefined ? [] : [sql<boolean>`${sql.ref(column)}::text = ${value}`],
  )
  if (filter.host !== undefined)
    terms.push(sql<boolean>`(source_host = ${filter.host} or dest_host = ${filter.host})`)
  terms.push(...changedBetween(sql`coalesce(updated_at, created_at)`, filter))
  if (filter.marker !== undefined) {
    const found = await sql<{ number: number }>`select number from compute.migration
      where id::text = ${filter.marker}`.execute(db)
    const after = found.rows[0]
    if (!after) return undefined
    terms.push(sql<boolean>`number < ${after.number}`)
  }
  const rows = await db
    .selectFrom("compute.migration")
    .selectAll()
    .where(sql<boolean>`${sql.join([sql`true`, ...terms], sql` and `)}`)
    .orderBy("number", "desc")
    .$if(filter.limit !== undefined, (q) => q.limit(filter.limit ?? 0))
    .execute()
  return rows.map(migrationOf)
}

function migrationOf(row: Selectable<MigrationTable>): Migration {
  return {
    number: row.number,
    id: row.id,
    serverId: row.server_id,
    projectId: row.project_id,
    userId: row.user_id,
    type: row.type,
    status: row.status,
    sourceHost: row.source_host,
    destHost: row.dest_host,
    oldFlavorNumber: row.old_flavor_number,
    newFlavorNumber: row.new_flavor_number,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}
