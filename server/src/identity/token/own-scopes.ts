// What the caller could scope a token to, by direct and group assignments with inheritance.
import { sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { readCatalog } from "../catalog/catalog.ts"
import { type Domain, domainNoun } from "../domain/domain.ts"
import { forbidden } from "../faults.ts"
import { type Project, projectNoun } from "../project/project.ts"
import { everyone } from "../read.ts"

const nothing = Type.Object({})

/** Projects in which the user has a role, by whatever way. */
export async function listProjectsOfUser(db: DbOrTx, userId: string): Promise<Project[]> {
  const own = sql<boolean>`not p.is_domain and p.id in (
    with recursive held as (
      select target_id, is_inherited from identity.assignment
      where target_id is not null and user_id = ${userId} and (target_kind = 'project' or is_inherited)
      union
      select a.target_id, a.is_inherited from identity.group_member m
      join identity.assignment a on a.group_id = m.group_id
      where m.user_id = ${userId} and a.target_id is not null and (a.target_kind = 'project' or a.is_inherited)
    ),
    below (id) as (
      select p.id from held h join identity.project p on p.parent_id = h.target_id where h.is_inherited
      union
      select p.id from below b join identity.project p on p.parent_id = b.id
    )
    select target_id from held where not is_inherited union select id from below)`
  return await listThings(db, projectNoun, everyone, { also: [own] })
}

export async function listDomainsOfUser(db: DbOrTx, userId: string): Promise<Domain[]> {
  const own = sql<boolean>`exists (
    select 1 from identity.assignment a where a.target_id = p.id and a.target_kind = 'domain'
      and not a.is_inherited and (a.user_id = ${userId}
        or a.group_id in (select group_id from identity.group_member where user_id = ${userId})))`
  return await listThings(db, domainNoun, everyone, { also: [own] })
}

/** Disabled ones could not be scoped to, so they are left out. */
export const listOwnProjects = operation({
  name: "identity.token.list_own_projects",
  input: nothing,
  rule: "identity:get_auth_projects",
  run: async (ctx) => (await listProjectsOfUser(ctx.db, ctx.caller.userId)).filter((p) => p.isEnabled),
})

export const listOwnDomains = operation({
  name: "identity.token.list_own_domains",
  input: nothing,
  rule: "identity:get_auth_domains",
  run: async (ctx) => (await listDomainsOfUser(ctx.db, ctx.caller.userId)).filter((d) => d.isEnabled),
})

/** Whether the caller has a role on the system. */
export const hasOwnSystemScope = operation({
  name: "identity.token.has_own_system_scope",
  input: nothing,
  rule: "identity:get_auth_system",
  run: async (ctx) => {
    const rows =
      await sql`select 1 from identity.effective_role(${ctx.caller.userId}, 'system', null) limit 1`.execute(
        ctx.db,
      )
    return rows.rows.length > 0
  },
})

export const getOwnCatalog = operation({
  name: "identity.token.get_own_catalog",
  input: nothing,
  faults: [forbidden],
  rule: "identity:get_auth_catalog",
  run: async (ctx) => {
    const { projectId, userId } = ctx.caller
    if (!projectId) throw forbidden("A project-scoped token is required to produce a service catalog.")
    return await readCatalog(ctx, { userId, projectId })
  },
})
