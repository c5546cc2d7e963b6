// What a project or a domain has instead of the registered default.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field, nullable, text } from "../../platform/noun/field.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { type Create, noun, type Thing, type Visible, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { domainNoun } from "../domain/domain.ts"
import { conflict, forbidden, found, missingOf, notFound } from "../faults.ts"
import { projectNoun } from "../project/project.ts"
import {
  asListed,
  everyone,
  find,
  foundFirst,
  idField,
  ruleFirst,
  sorts,
  textField,
  type Viewer,
} from "../read.ts"
import { checkTree } from "./model.ts"
import { LimitValue } from "./registered-limit.ts"

const named = { create: true, filter: true } as const

export const limitNoun = noun({
  name: "identity.limit",
  table: sql`identity."limit"`,
  alias: "l",
  joins: sql`join identity.registered_limit g on g.id = l.registered_limit_id
    left join identity.project p on p.id = l.project_id`,
  fields: {
    id: idField("l"),
    registeredLimitId: text(sql`l.registered_limit_id`, { internal: true }),
    serviceId: text(sql`g.service_id`, { create: "required", filter: true }),
    regionId: nullable(text(sql`g.region_id`, named)),
    resourceName: text(sql`g.resource_name`, { create: "required", filter: true }),
    projectId: nullable(text(sql`l.project_id`, named)),
    domainId: nullable(text(sql`l.domain_id`, named)),
    /** Of the project, for the policy. */
    projectDomainId: nullable(text(sql`p.domain_id`, { internal: true })),
    resourceLimit: field("integer", LimitValue, sql`l.resource_limit`, { create: "required", update: true }),
    description: textField(sql`l.description`),
  },
  order: sorts.byId,
  visible: visibleTo,
  ...missingOf("limit"),
})

export type Limit = Thing<typeof limitNoun>

/** By the token's scope and nothing else: an administrator of all asks with a token for the system. */
function visibleTo({ isOfSystem, domainId, projectId }: Viewer): Visible {
  if (isOfSystem) return visibleToAll
  const [own, below] = [sql<boolean>`l.domain_id = ${domainId}`, sql<boolean>`p.domain_id = ${domainId}`]
  if (domainId) return { row: sql<boolean>`(${own} or ${below})`, main: own, others: [below] }
  const row = projectId ? sql<boolean>`l.project_id = ${projectId}` : sql<boolean>`false`
  return { row, main: row, others: [] }
}

export const createLimits = operation({
  name: "identity.limit.create",
  input: Type.Object({ limits: Type.Array(limitNoun.create) }),
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
        const made = await Promise.all(
          ids.map(async (id) => found(await find(tx, limitNoun, id), "limit", id)),
        )
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

async function insertLimit(tx: Tx, facts: Create<typeof limitNoun>): Promise<string> {
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

function limitTarget(limit: Limit | null) {
  if (!limit) return {}
  const domain = limit.domainId ? { domain: { id: limit.domainId } } : {}
  const project = limit.projectId ? { project: { domain_id: limit.projectDomainId } } : {}
  return { target: { limit: { project_id: limit.projectId, ...domain, ...project } } }
}

export const getLimit = getOf(limitNoun, { ...ruleFirst, rule: "identity:get_limit", target: limitTarget })
export const listLimits = listOf(limitNoun, { ...asListed, rule: "identity:list_limits" })

export const updateLimit = operation({
  name: "identity.limit.update",
  input: Type.Object({ id: Type.String(), changes: limitNoun.changes }),
  faults: [notFound, forbidden],
  load: async (ctx, { id }) => found(await find(ctx.db, limitNoun, id), "limit", id),
  rule: "identity:update_limit",
  run: async (ctx, { id, changes }): Promise<Limit> =>
    await changeIdentity(ctx, async (tx) => {
      await lockLimits(tx)
      const after = found(await updateThing(tx, limitNoun, everyone, id, columnsOf(changes)), "limit", id)
      await checkTree(ctx, tx, after)
      await announce(ctx, tx, "limit", "updated", id)
      return after
    }),
})

export const deleteLimit = deleteOf(limitNoun, {
  ...foundFirst,
  rule: "identity:delete_limit",
  event: "limit",
})
