// What a project or a domain has instead of the registered default.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { domainNoun } from "../domain/domain.ts"
import { conflict, forbidden, found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows } from "../list.ts"
import { projectNoun } from "../project/project.ts"
import type { Rows } from "../read.ts"
import { find } from "../read.ts"
import { Id, Text } from "../shapes.ts"
import { checkTree } from "./model.ts"
import { LimitValue } from "./registered-limit.ts"

export interface Limit {
  id: string
  registered_limit_id: string
  service_id: string
  region_id: string | null
  resource_name: string
  project_id: string | null
  domain_id: string | null
  /** Of the project, for the policy. */
  project_domain_id: string | null
  resource_limit: number
  description: string | null
}

const limits = sql`(select l.id, l.registered_limit_id, g.service_id, g.region_id, g.resource_name, l.project_id,
    l.domain_id, p.domain_id as project_domain_id, l.resource_limit, l.description
  from identity."limit" l join identity.registered_limit g on g.id = l.registered_limit_id
  left join identity.project p on p.id = l.project_id) as known_limit`

const limitList: ListSpec = {
  table: limits,
  columns: {
    service_id: sql`service_id`,
    region_id: sql`region_id`,
    resource_name: sql`resource_name`,
    project_id: sql`project_id`,
    domain_id: sql`domain_id`,
  },
}

async function findLimit(db: DbOrTx, id: string): Promise<Limit | null> {
  const result = await sql<Limit>`select * from ${limits} where id = ${id}`.execute(db)
  return result.rows[0] ?? null
}

const NewLimit = Type.Object({
  serviceId: Type.String(),
  regionId: Type.Optional(Text),
  resourceName: Type.String(),
  resourceLimit: LimitValue,
  projectId: Type.Optional(Text),
  domainId: Type.Optional(Text),
  description: Type.Optional(Text),
})

interface NewLimitFacts {
  serviceId: string
  regionId?: string | null
  resourceName: string
  resourceLimit: number
  projectId?: string | null
  domainId?: string | null
  description?: string | null
}

export const createLimits = operation({
  name: "identity.limit.create",
  input: Type.Object({ limits: Type.Array(NewLimit) }),
  faults: [conflict, forbidden],
  rule: "identity:create_limits",
  run: async (ctx, input): Promise<Limit[]> =>
    await changeOrConflict(
      ctx,
      () => conflict("limit", "Duplicate entry for this resource and this project or domain"),
      async (tx) => {
        // One at a time, so that two requests cannot break the tree together.
        await lockLimits(tx)
        const ids: string[] = []
        for (const facts of input.limits) ids.push(await insertLimit(tx, facts))
        // All are in place before any is judged: one request may raise a domain and fill it.
        const made = await Promise.all(ids.map(async (id) => found(await findLimit(tx, id), "limit", id)))
        for (const limit of made) {
          await checkTree(ctx, tx, limit)
          await announce(ctx, tx, "limit", "created", limit.id)
        }
        return made
      },
    ),
})

async function lockLimits(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('identity.limit', 0))`.execute(tx)
}

async function insertLimit(tx: Tx, facts: NewLimitFacts): Promise<string> {
  const { projectId, domainId } = facts
  if (Boolean(projectId) === Boolean(domainId))
    throw invalid("project_id", "A limit is for one project or one domain: name exactly one of the two.")
  if (projectId) found(await find(tx, projectNoun, projectId), "project", projectId)
  if (domainId) found(await find(tx, domainNoun, domainId), "domain", domainId)
  const registered = await tx
    .selectFrom("identity.registered_limit")
    .select("id")
    .where("service_id", "=", facts.serviceId)
    .where("resource_name", "=", facts.resourceName)
    .where(sql<boolean>`region_id is not distinct from ${facts.regionId ?? null}`)
    .executeTakeFirst()
  if (!registered) {
    throw invalid(
      "resource_name",
      `There is no registered limit ${facts.resourceName} for service ${facts.serviceId}.`,
    )
  }
  const id = newHexId()
  await tx
    .insertInto("identity.limit")
    .values({
      id,
      registered_limit_id: registered.id,
      project_id: projectId || null,
      domain_id: domainId || null,
      resource_limit: facts.resourceLimit,
      description: facts.description ?? null,
    })
    .execute()
  return id
}

function limitTarget(row: Limit | null) {
  if (!row) return {}
  const domain = row.domain_id ? { domain: { id: row.domain_id } } : {}
  const project = row.project_id ? { project: { domain_id: row.project_domain_id } } : {}
  return { target: { limit: { project_id: row.project_id, ...domain, ...project } } }
}

export const getLimit = operation({
  name: "identity.limit.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findLimit(ctx.db, id),
  rule: "identity:get_limit",
  target: (_ctx, _input, row) => limitTarget(row),
  run: async (_ctx, { id }, row) => found(row, "limit", id),
})

export const listLimits = operation({
  name: "identity.limit.list",
  input: ListInput,
  rule: "identity:list_limits",
  run: async (ctx, input): Promise<Rows<Limit>> => await listRows(ctx, limitList, input, visible(ctx)),
})

/** By the token's scope and nothing else: an administrator of all asks with a token for the system. */
function visible({ caller }: Ctx) {
  if (caller.systemScope) return sql`true`
  if (caller.domainId) return sql`(domain_id = ${caller.domainId} or project_domain_id = ${caller.domainId})`
  return caller.projectId ? sql`project_id = ${caller.projectId}` : sql`false`
}

export const updateLimit = operation({
  name: "identity.limit.update",
  input: Type.Object({
    id: Type.String(),
    resourceLimit: Type.Optional(LimitValue),
    description: Type.Optional(Text),
  }),
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await findLimit(ctx.db, id), "limit", id),
  rule: "identity:update_limit",
  run: async (ctx, input): Promise<Limit> =>
    await changeIdentity(ctx, async (tx) => {
      await lockLimits(tx)
      await tx
        .updateTable("identity.limit")
        .set({
          id: input.id,
          ...(input.resourceLimit === undefined ? {} : { resource_limit: input.resourceLimit }),
          ...(input.description === undefined ? {} : { description: input.description }),
        })
        .where("id", "=", input.id)
        .execute()
      const after = found(await findLimit(tx, input.id), "limit", input.id)
      await checkTree(ctx, tx, after)
      await announce(ctx, tx, "limit", "updated", input.id)
      return after
    }),
})

export const deleteLimit = operation({
  name: "identity.limit.delete",
  input: Id,
  faults: [notFound],
  load: async (ctx, { id }) => found(await findLimit(ctx.db, id), "limit", id),
  rule: "identity:delete_limit",
  run: async (ctx, { id }) => {
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.limit").where("id", "=", id).execute()
      await announce(ctx, tx, "limit", "deleted", id)
    })
  },
})
