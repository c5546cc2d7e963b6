import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { refused } from "../faults.ts"
import { isNamed } from "../names.ts"
import type { TokenScope } from "../token/payload.ts"
import type { Named, ProjectRef, Proof, RequestedScope } from "./request.ts"

export interface FoundTrust {
  id: string
  trustorEpoch: number
  expiresAtMs: number | null
  /** Only so many uses are left. */
  isCounted: boolean
}

export interface FoundScope {
  scope: TokenScope
  trust: FoundTrust | null
}

/** Names to ids. Whether the user may have the scope shows when the token is made. */
export async function findScope(ctx: Ctx, wanted: RequestedScope, proof: Proof): Promise<FoundScope> {
  const plain = (scope: TokenScope): FoundScope => ({ scope, trust: null })
  const delegated = proof.applicationCredential ?? proof.accessToken
  if (delegated) return plain({ kind: "project", id: delegated.projectId })
  switch (wanted.kind) {
    case "unscoped":
      return plain({ kind: "unscoped" })
    case "system":
      return plain({ kind: "system" })
    case "domain":
      return plain({ kind: "domain", id: await findDomainId(ctx, wanted.domain) })
    case "project":
      return plain({ kind: "project", id: await findProjectId(ctx, wanted.project) })
    case "trust":
      return await findTrustScope(ctx, wanted.trustId)
    case "default":
      return plain(await defaultScope(ctx, proof))
  }
}

async function findDomainId(ctx: Ctx, ref: Named): Promise<string> {
  if (ref.name === undefined) return ref.id ?? ""
  const row = await ctx.db
    .selectFrom("identity.project")
    .select("id")
    .where("is_domain", "=", true)
    .where(isNamed("name", ref.name))
    .executeTakeFirst()
  if (!row) throw refused("no such domain")
  return row.id
}

async function findProjectId(ctx: Ctx, ref: ProjectRef): Promise<string> {
  if (ref.name === undefined) return ref.id ?? ""
  if (!ref.domain) throw invalid("auth.scope.project.domain", "Expecting to find domain in project.")
  const domain =
    ref.domain.name === undefined
      ? sql`d.id = ${ref.domain.id ?? ""}`
      : sql`${isNamed("d.name", ref.domain.name)} and d.is_domain`
  const result = await sql<{ id: string }>`select p.id from identity.project p
    join identity.project d on d.id = p.domain_id where ${isNamed("p.name", ref.name)} and ${domain}`.execute(
    ctx.db,
  )
  const row = result.rows[0]
  if (!row) throw refused("no such project")
  return row.id
}

async function findTrustScope(ctx: Ctx, trustId: string): Promise<FoundScope> {
  const result = await sql<{
    id: string
    project_id: string | null
    epoch: number
    expires_at: Date | null
    remaining_uses: number | null
  }>`
    select t.id, t.project_id, t.expires_at, t.remaining_uses, u.token_epoch as epoch from identity.trust t
    join identity."user" u on u.id = t.trustor_user_id
    where t.id = ${trustId} and t.deleted_at is null`.execute(ctx.db)
  const trust = result.rows[0]
  if (!trust) throw refused("no such trust")
  return {
    scope: trust.project_id ? { kind: "project", id: trust.project_id } : { kind: "unscoped" },
    trust: {
      id: trust.id,
      trustorEpoch: trust.epoch,
      expiresAtMs: trust.expires_at?.getTime() ?? null,
      isCounted: trust.remaining_uses !== null,
    },
  }
}

/** The user's default project when that is of use, or no scope. */
async function defaultScope(ctx: Ctx, proof: Proof): Promise<TokenScope> {
  const id = proof.defaultProjectId
  if (!id) return { kind: "unscoped" }
  const result = await sql`select 1 from identity.project p join identity.project d on d.id = p.domain_id
    where p.id = ${id} and p.is_enabled and d.is_enabled
      and exists (select 1 from identity.effective_role(${proof.userId}, 'project', ${id}))`.execute(ctx.db)
  return result.rows.length > 0 ? { kind: "project", id } : { kind: "unscoped" }
}
