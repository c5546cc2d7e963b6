import { type Selectable, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { ListSpec } from "../list.ts"
import type { RoleTable } from "../tables.ts"

export type RoleRow = Selectable<RoleTable>

export const roleList: ListSpec = {
  table: sql`identity.role`,
  columns: { name: sql`name`, domain_id: sql`domain_id` },
  orderColumn: "name",
  isNameFolded: true,
}

export async function findRole(db: DbOrTx, id: string): Promise<RoleRow | null> {
  const row = await db.selectFrom("identity.role").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

/** In the order of the ids' names; ids that are gone are left out. */
export async function findRoles(db: DbOrTx, ids: readonly string[]): Promise<RoleRow[]> {
  if (ids.length === 0) return []
  return await db
    .selectFrom("identity.role")
    .selectAll()
    .where("id", "in", [...ids])
    .orderBy("name")
    .execute()
}
