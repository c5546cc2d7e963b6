import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { objectOf } from "../../platform/noun/noun.ts"
import { everyone } from "../read.ts"
import { type Role, roleNoun } from "../role/role.ts"

export interface Trust {
  id: string
  trustor_user_id: string
  trustee_user_id: string
  project_id: string | null
  is_impersonation: boolean
  expires_at: Date | null
  /** With microseconds. */
  expires_at_text: string | null
  remaining_uses: number | null
  redelegation_count: number
  redelegated_trust_id: string | null
  deleted_at: Date | null
  extra: Record<string, unknown>
  roles: Role[]
}

export async function findTrusts(db: DbOrTx, where: RawBuilder<unknown>): Promise<Trust[]> {
  const result = await sql<Trust>`
    select t.*, to_char(t.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as expires_at_text,
      (select coalesce(jsonb_agg(${objectOf(roleNoun, everyone)} order by r.name), '[]')
      from identity.trust_role x join identity.role r on r.id = x.role_id where x.trust_id = t.id) as roles
    from identity.trust t where ${where} order by t.created_at, t.id`.execute(db)
  return result.rows
}

/** One that is in force: neither deleted nor used up nor past its end. */
export async function findLiveTrust(db: DbOrTx, id: string, now: Date): Promise<Trust | null> {
  const [trust] = await findTrusts(
    db,
    sql`t.id = ${id} and t.deleted_at is null and (t.expires_at is null or t.expires_at > ${now})
      and (t.remaining_uses is null or t.remaining_uses > 0)`,
  )
  return trust ?? null
}
