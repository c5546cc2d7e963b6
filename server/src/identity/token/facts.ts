// All that the database knows about a token, in one statement: this is what a validation costs when it is not cached.
import { type RawBuilder, sql } from "kysely"
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
}

export async function readTokenFacts(db: DbOrTx, payload: TokenPayload, now: Date): Promise<TokenFacts> {
  const { scope } = payload
  const scopeId = "id" in scope ? scope.id : null
  const actor = payload.trustId
    ? sql`(select trustor_user_id from identity.trust_root(${payload.trustId}, ${now}))`
    : sql`${payload.userId}::text`
  const found = await sql<TokenFacts>`
    select
      (${person(sql`u.id = ${payload.userId}`)}) as "user",
      ${payload.trustId ? sql`(${trustorOf(payload.trustId)})` : sql`null`} as trustor,
      ${scopeId ? sql`(${projectById(scopeId)})` : sql`null`} as project,
      ${scope.kind === "unscoped" ? sql`'[]'::jsonb` : sql`(${rolesOf(actor, scope.kind, scopeId)})`} as roles,
      ${payload.trustId ? sql`(${trustById(payload.trustId, now)})` : sql`null`} as trust,
      ${
        payload.applicationCredentialId
          ? sql`(${applicationCredentialById(payload.applicationCredentialId, now)})`
          : sql`null`
      } as application_credential,
      exists (select 1 from identity.revocation where audit_id = ${payload.auditIds[0] ?? ""}) as is_revoked
  `.execute(db)
  const row = found.rows[0]
  if (!row) throw new Error("a select without FROM gave no row")
  return row
}

function person(where: RawBuilder<unknown>) {
  return sql`select jsonb_build_object('id', u.id, 'name', u.name, 'domain_id', d.id, 'domain_name', d.name,
      'is_enabled', u.is_enabled, 'is_domain_enabled', d.is_enabled, 'epoch', u.token_epoch,
      'password_expires_at', (select p.expires_at from identity.password p where p.user_id = u.id
        order by p.id desc limit 1))
    from identity."user" u join identity.project d on d.id = u.domain_id where ${where}`
}

function trustorOf(trustId: string) {
  return person(sql`u.id = (select trustor_user_id from identity.trust where id = ${trustId})`)
}

function projectById(id: string) {
  return sql`select jsonb_build_object('id', p.id, 'name', p.name, 'is_domain', p.is_domain,
      'is_enabled', p.is_enabled, 'domain_id', d.id, 'domain_name', d.name, 'is_domain_enabled', d.is_enabled)
    from identity.project p join identity.project d on d.id = coalesce(p.domain_id, p.id) where p.id = ${id}`
}

function rolesOf(actor: RawBuilder<unknown>, kind: string, id: string | null) {
  return sql`select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'name', r.name) order by r.name), '[]')
    from identity.effective_role(${actor}, ${kind}, ${id}) e join identity.role r on r.id = e.role_id`
}

function trustById(id: string, now: Date) {
  return sql`select jsonb_build_object('id', t.id, 'trustor_user_id', t.trustor_user_id,
      'trustee_user_id', t.trustee_user_id, 'project_id', t.project_id, 'is_impersonation', t.is_impersonation,
      'is_over', not (select is_live from identity.trust_root(t.id, ${now})),
      'role_ids', (select coalesce(jsonb_agg(role_id), '[]') from identity.with_implied(
        array(select role_id from identity.trust_role where trust_id = t.id))))
    from identity.trust t where t.id = ${id}`
}

function applicationCredentialById(id: string, now: Date) {
  return sql`select jsonb_build_object('id', c.id, 'name', c.name, 'project_id', c.project_id,
      'is_unrestricted', c.is_unrestricted, 'is_over', coalesce(c.expires_at <= ${now}, false),
      'role_ids', (select coalesce(jsonb_agg(role_id), '[]') from identity.with_implied(
        array(select role_id from identity.application_credential_role where application_credential_id = c.id))),
      'access_rules', (select coalesce(jsonb_agg(jsonb_build_object('id', r.id, 'service', r.service,
          'path', r.path, 'method', r.method) order by r.id), '[]')
        from identity.application_credential_access_rule a join identity.access_rule r on r.id = a.access_rule_id
        where a.application_credential_id = c.id))
    from identity.application_credential c where c.id = ${id}`
}
