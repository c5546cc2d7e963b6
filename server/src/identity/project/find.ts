import { sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"

export interface KnownProject {
  id: string
  name: string
  domainId: string
  isEnabled: boolean
}

/** A project by id, whoever asks: for quota checks and the like of other services. Null when there is none. */
export async function findProject(ctx: { db: DbOrTx }, id: string): Promise<KnownProject | null> {
  const result = await sql<KnownProject>`
    select id, name, coalesce(domain_id, id) as "domainId", is_enabled as "isEnabled"
    from identity.project where id = ${id}`.execute(ctx.db)
  return result.rows[0] ?? null
}
