// Get and list projects; what is above and below one; which of them a caller may name.
import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { fieldsOf } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { found } from "../faults.ts"
import { asListed, everyone, find, ruleFirst } from "../read.ts"
import { Id } from "../shapes.ts"
import { listProjectsOfUser } from "../token/own-scopes.ts"
import { type Project, projectNoun, projectTarget } from "./project.ts"

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

/** Throws 404 unless the caller is on it, has a role there, or may look at it: others are as if they were not there. */
export async function requireKnownProject(ctx: Ctx, projectId: string): Promise<void> {
  if (ctx.caller.projectId === projectId) return
  const project = found(await find(ctx.db, projectNoun, projectId), "project", projectId)
  if (ctx.policy.isAllowed(ctx.caller, "identity:get_project", projectTarget(project))) return
  const own = await listProjectsOfUser(ctx.db, ctx.caller.userId)
  found(own.find(({ id }) => id === projectId) ?? null, "project", projectId)
}

/** From the parent up to the domain. */
export async function listAncestors(db: DbOrTx, id: string): Promise<Project[]> {
  return await readTree(
    db,
    sql`select parent_id as id, 1 as depth from identity.project where id = ${id} and parent_id is not null
      union all
      select a.parent_id, t.depth + 1 from tree t join identity.project a on a.id = t.id
      where a.parent_id is not null`,
  )
}

/** All below, parents before children. */
export async function listDescendants(db: DbOrTx, id: string): Promise<Project[]> {
  return await readTree(
    db,
    sql`select id, 1 as depth from identity.project where parent_id = ${id}
      union all
      select b.id, t.depth + 1 from tree t join identity.project b on b.parent_id = t.id`,
  )
}

async function readTree(db: DbOrTx, steps: RawBuilder<unknown>): Promise<Project[]> {
  const { rows } = await sql<Project>`with recursive tree (id, depth) as (${steps})
    select ${sql.join(fieldsOf(projectNoun, everyone))} from tree t join identity.project p on p.id = t.id
    order by t.depth, p.name, p.id`.execute(db)
  return rows
}

export const getProject = getOf(projectNoun, {
  ...ruleFirst,
  rule: "identity:get_project",
  target: projectTarget,
})
export const listProjects = listOf(projectNoun, {
  ...asListed,
  rule: "identity:list_projects",
  about: ({ caller }) => ({ "target.domain_id": caller.domainId }),
})

export interface Family {
  parents: Project[]
  subtree: Project[]
}

/** What is above and below a project, for who may see the project. */
export const getProjectFamily = operation({
  name: "identity.project.get_family",
  input: Id,
  load: (ctx, { id }) => find(ctx.db, projectNoun, id),
  rule: "identity:get_project",
  target: (_ctx, _input, project) => projectTarget(project),
  run: async (ctx, { id }): Promise<Family> => ({
    parents: (await listAncestors(ctx.db, id)).filter((place) => !place.isDomain),
    subtree: await listDescendants(ctx.db, id),
  }),
})
