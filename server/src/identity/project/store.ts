import { type Selectable, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { ListSpec } from "../list.ts"
import type { ProjectTable } from "../tables.ts"

/** A project or a domain. */
export type ProjectRow = Selectable<ProjectTable>

export const placeList: ListSpec = {
  table: sql`identity.project`,
  columns: {
    name: sql`name`,
    enabled: sql`is_enabled`,
    domain_id: sql`domain_id`,
    parent_id: sql`parent_id`,
    is_domain: sql`is_domain`,
  },
  orderColumn: "name",
  isNameFolded: true,
}

export async function findPlace(db: DbOrTx, id: string): Promise<ProjectRow | null> {
  const row = await db.selectFrom("identity.project").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

/** For a project that is to be changed: held until the transaction ends. */
export async function lockPlace(tx: Tx, id: string): Promise<ProjectRow | null> {
  const row = await tx
    .selectFrom("identity.project")
    .selectAll()
    .where("id", "=", id)
    .forUpdate()
    .executeTakeFirst()
  return row ?? null
}

export async function findDomain(db: DbOrTx, id: string): Promise<ProjectRow | null> {
  const row = await findPlace(db, id)
  return row?.is_domain ? row : null
}

/** From the parent up to the domain. */
export async function listAncestors(db: DbOrTx, id: string): Promise<ProjectRow[]> {
  const result = await sql<ProjectRow>`
    with recursive up as (
      select p.*, 0 as depth from identity.project p where p.id = ${id}
      union all
      select p.*, u.depth + 1 from up u join identity.project p on p.id = u.parent_id
    )
    select * from up where depth > 0 order by depth`.execute(db)
  return result.rows
}

/** All below, parents before children. */
export async function listDescendants(db: DbOrTx, id: string): Promise<ProjectRow[]> {
  const result = await sql<ProjectRow>`
    with recursive below as (
      select p.*, 1 as depth from identity.project p where p.parent_id = ${id}
      union all
      select p.*, b.depth + 1 from below b join identity.project p on p.parent_id = b.id
    )
    select * from below order by depth, name, id`.execute(db)
  return result.rows
}

export async function countLevelsBelow(db: DbOrTx, id: string): Promise<number> {
  const result = await sql<{ levels: number }>`
    with recursive below as (
      select id, 1 as depth from identity.project where parent_id = ${id}
      union all
      select p.id, b.depth + 1 from below b join identity.project p on p.parent_id = b.id
    )
    select coalesce(max(depth), 0) as levels from below`.execute(db)
  return result.rows[0]?.levels ?? 0
}

/** What hangs on projects without a foreign key. */
export async function clearProjects(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await tx
    .deleteFrom("identity.credential")
    .where("project_id", "in", [...ids])
    .execute()
  await tx
    .updateTable("identity.user")
    .set({ default_project_id: null })
    .where("default_project_id", "in", [...ids])
    .execute()
}
