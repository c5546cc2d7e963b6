import { type RawBuilder, sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"

export interface ApplicationCredential {
  id: string
  name: string
  description: string | null
  user_id: string
  project_id: string
  secret_hash: string
  expires_at: Date | null
  /** With microseconds. */
  expires_at_text: string | null
  is_unrestricted: boolean
  roles: { id: string; name: string; domain_id: string | null; description: string | null; options: object }[]
  access_rules: { id: string; service: string; path: string; method: string }[]
}

export async function findApplicationCredentials(
  db: DbOrTx,
  where: RawBuilder<unknown>,
): Promise<ApplicationCredential[]> {
  const result = await sql<ApplicationCredential>`
    select c.id, c.name, c.description, c.user_id, c.project_id, c.secret_hash, c.expires_at, c.is_unrestricted,
      to_char(c.expires_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US') as expires_at_text,
      (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name, 'domain_id', r.domain_id,
          'description', r.description, 'options', r.options) order by r.name), '[]')
        from identity.application_credential_role a join identity.role r on r.id = a.role_id
        where a.application_credential_id = c.id) as roles,
      (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'service', r.service, 'path', r.path,
          'method', r.method) order by r.id), '[]')
        from identity.application_credential_access_rule a join identity.access_rule r on r.id = a.access_rule_id
        where a.application_credential_id = c.id) as access_rules
    from identity.application_credential c where ${where} order by c.created_at, c.id`.execute(db)
  return result.rows
}
