import { type Selectable, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { ListSpec } from "../list.ts"
import type { GroupTable } from "../tables.ts"

export type GroupRow = Selectable<GroupTable>

export const groupList: ListSpec = {
  table: sql`identity."group"`,
  columns: { name: sql`name`, domain_id: sql`domain_id` },
  orderColumn: "name",
  isNameFolded: true,
}

export async function findGroup(db: DbOrTx, id: string): Promise<GroupRow | null> {
  const row = await db.selectFrom("identity.group").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}
