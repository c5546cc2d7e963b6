import type { Selectable } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { ProjectTable } from "../tables.ts"

/** A project or a domain. */
export type ProjectRow = Selectable<ProjectTable>

export async function findPlace(db: DbOrTx, id: string): Promise<ProjectRow | null> {
  const row = await db.selectFrom("identity.project").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}
