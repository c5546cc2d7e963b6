// All that the database knows about a token, in one statement: this is what a validation costs when it is not cached.
import { sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import type { TokenPayload } from "./payload.ts"

export interface RoleRef {
  id: string
  name: string
}

export interface PersonFacts {
  id: string
  name: string
  domain_id: string
  domain_name: string
  is_enabled: boolean
  is_domain_enabled: boolean
  epoch: number
  default_project_id: string | null
  options: Record<string, unknown>
  password_expires_at: string | null
}

export interface ProjectFacts {
  id: string
  name: string
  is_domain: boolean
  is_enabled: boolean
  /** Its domain; for a domain itself, itself. */
  domain_id: string
  domain_name: string
  is_domain_enabled: boolean
}

export interface TrustFacts {
  id: string
  trustor_user_id: string
  trustee_user_id: string
  project_id: string | null
  is_impersonation: boolean
  is_over: boolean
  role_ids: string[]
}

export interface AccessRuleFacts {
  id: string
  service: string
  path: string
  method: string
}

export interface ApplicationCredentialFacts {
  id: string
  name: string
  project_id: string
  is_unrestricted: boolean
  is_over: boolean
  role_ids: string[]
  access_rules: AccessRuleFacts[]
}

export interface AccessTokenFacts {
  id: string
  consumer_id: string
  is_over: boolean
  role_ids: string[]
}

export interface TokenFacts {
  user: PersonFacts | null
  trustor: PersonFacts | null
  /** Project or domain of the scope. */
  project: ProjectFacts | null
  /** Effective in the scope, of the trustor when there is a trust. */
  roles: RoleRef[]
  trust: TrustFacts | null
  application_credential: ApplicationCredentialFacts | null
  is_revoked: boolean
  /** Asked for only when the token stands on one, which is rare. */
  access_token?: AccessTokenFacts | null
}

export async function readTokenFacts(db: DbOrTx, payload: TokenPayload, now: Date): Promise<TokenFacts> {
  const { scope } = payload
  const scopeId = "id" in scope ? scope.id : null
  const result = await sql<{ facts: TokenFacts }>`
    select identity.token_facts(${payload.userId}, ${scope.kind}, ${scopeId}, ${payload.trustId},
      ${payload.applicationCredentialId}, ${payload.auditIds[0] ?? ""}, ${now}) as facts`.execute(db)
  const row = result.rows[0]
  if (!row) throw new Error("a select without FROM gave no row")
  if (payload.accessTokenId === null) return row.facts
  return { ...row.facts, access_token: await readAccessTokenFacts(db, payload, payload.accessTokenId, now) }
}

async function readAccessTokenFacts(
  db: DbOrTx,
  payload: TokenPayload,
  id: string,
  now: Date,
): Promise<AccessTokenFacts | null> {
  const result = await sql<AccessTokenFacts>`
    select t.id, t.consumer_id, coalesce(t.expires_at <= ${now}, false) as is_over,
      array(select role_id from identity.with_implied(t.role_ids)) as role_ids
    from identity.oauth_access_token t
    where t.id = ${id} and t.authorizing_user_id = ${payload.userId}`.execute(db)
  return result.rows[0] ?? null
}
