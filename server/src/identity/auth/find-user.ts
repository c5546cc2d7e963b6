// The user of a login, with all that its methods need, in one statement.
import { sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isNamed } from "../names.ts"
import type { UserRef } from "./request.ts"

export interface LoginUser {
  id: string
  name: string
  domain_id: string
  is_enabled: boolean
  is_domain_enabled: boolean
  epoch: number
  default_project_id: string | null
  options: Record<string, unknown>
  hash: string | null
  password_expires_at: Date | null
  is_self_service: boolean | null
  failed_count: number
  failed_at: Date | null
  last_login_at: Date | null
  created_at: Date
}

export async function findLoginUser(db: DbOrTx, ref: UserRef): Promise<LoginUser | null> {
  const where =
    ref.id !== undefined
      ? sql`u.id = ${ref.id}`
      : sql`${isNamed("u.name", ref.name ?? "")} and u.domain_id = (
          select d.id from identity.project d where d.is_domain and ${
            ref.domain?.id !== undefined
              ? sql`d.id = ${ref.domain.id}`
              : isNamed("d.name", ref.domain?.name ?? "")
          })`
  const result = await sql<LoginUser>`
    select u.id, u.name, u.domain_id, u.is_enabled, d.is_enabled as is_domain_enabled, u.token_epoch as epoch,
      u.default_project_id, u.options, u.created_at, p.hash, p.expires_at as password_expires_at, p.is_self_service,
      coalesce(s.failed_count, 0) as failed_count, s.failed_at, s.last_login_at
    from identity."user" u
    join identity.project d on d.id = u.domain_id
    left join lateral (select * from identity.password where user_id = u.id order by id desc limit 1) p on true
    left join identity.login_state s on s.user_id = u.id
    where ${where}`.execute(db)
  return result.rows[0] ?? null
}
