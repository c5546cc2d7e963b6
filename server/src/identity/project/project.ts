// Get, list, change and delete projects.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, type Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, notFound, projectNameTaken } from "../faults.ts"
import { inOwnDomain, ListInput, listRows } from "../list.ts"
import { changeOptions, placeOptions, refuseImmutable } from "../options.ts"
import type { Rows } from "../read.ts"
import { Extra, Id, Options, ResourceName, Tags, Text } from "../shapes.ts"
import type { Json } from "../tables.ts"
import { removeDomain } from "./remove-domain.ts"
import {
  clearProjects,
  findPlace,
  listAncestors,
  listDescendants,
  lockPlace,
  type ProjectRow,
  placeList,
} from "./store.ts"

export function projectTarget(row: ProjectRow | null) {
  return { target: { project: row ? { id: row.id, domain_id: row.domain_id, name: row.name } : undefined } }
}

export const getProject = operation({
  name: "identity.project.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findPlace(ctx.db, id),
  rule: "identity:get_project",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (_ctx, { id }, row) => found(row, "project", id),
})

const tagFilters = Type.Object({
  all: Type.Optional(Type.Array(Type.String())),
  any: Type.Optional(Type.Array(Type.String())),
  notAll: Type.Optional(Type.Array(Type.String())),
  notAny: Type.Optional(Type.Array(Type.String())),
})

export const listProjects = operation({
  name: "identity.project.list",
  input: Type.Object({ ...ListInput.properties, tags: Type.Optional(tagFilters) }),
  rule: "identity:list_projects",
  target: (ctx) => ({ "target.domain_id": ctx.caller.domainId }),
  run: async (ctx, input): Promise<Rows<ProjectRow>> => {
    const { all, any, notAll, notAny } = input.tags ?? {}
    const where = [
      inOwnDomain(ctx),
      ...(all ? [sql`tags @> ${all}::text[]`] : []),
      ...(any ? [sql`tags && ${any}::text[]`] : []),
      ...(notAll ? [sql`not tags @> ${notAll}::text[]`] : []),
      ...(notAny ? [sql`not tags && ${notAny}::text[]`] : []),
    ]
    return await listRows<ProjectRow>(ctx, placeList, input, sql.join(where, sql` and `))
  },
})

export interface Family {
  parents: ProjectRow[]
  subtree: ProjectRow[]
}

/** What is above and below a project, for who may see the project. */
export const getProjectFamily = operation({
  name: "identity.project.get_family",
  input: Id,
  load: (ctx, { id }) => findPlace(ctx.db, id),
  rule: "identity:get_project",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { id }): Promise<Family> => ({
    parents: (await listAncestors(ctx.db, id)).filter((place) => !place.is_domain),
    subtree: await listDescendants(ctx.db, id),
  }),
})

const ProjectChanges = {
  name: Type.Optional(ResourceName),
  isEnabled: Type.Optional(Type.Boolean()),
  description: Type.Optional(Text),
  tags: Type.Optional(Tags),
  options: Type.Optional(Options),
  extra: Type.Optional(Extra),
}

export const updateProject = operation({
  name: "identity.project.update",
  input: Type.Object({
    id: Type.String(),
    ...ProjectChanges,
    /** Named only to be refused when they differ. */
    domainId: Type.Optional(Text),
    parentId: Type.Optional(Text),
    isDomain: Type.Optional(Type.Boolean()),
  }),
  faults: [notFound, conflict, forbidden],
  load: (ctx, { id }) => findPlace(ctx.db, id),
  rule: "identity:update_project",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, input, row) => {
    found(row, "project", input.id)
    return await changeOrConflict(
      ctx,
      () => projectNameTaken(input.name),
      async (tx) => {
        const before = found(await lockPlace(tx, input.id), "project", input.id)
        refuseMove(before, input)
        refuseImmutable("project", before, "update", input.options)
        if (input.isEnabled !== undefined && input.isEnabled !== before.is_enabled) {
          await checkSwitch(tx, before, input.isEnabled)
        }
        const after = await savePlace(tx, before, input)
        await announcePlaceUpdate(ctx, tx, before, after)
        return after
      },
    )
  },
})

export async function announcePlaceUpdate(
  ctx: Ctx,
  tx: Tx,
  before: ProjectRow,
  after: ProjectRow,
): Promise<void> {
  const noun = before.is_domain ? "domain" : "project"
  await announce(ctx, tx, noun, "updated", before.id)
  if (before.is_enabled && !after.is_enabled) await announce(ctx, tx, noun, "disabled", before.id)
}

function refuseMove(
  before: ProjectRow,
  input: { domainId?: string | null; parentId?: string | null; isDomain?: boolean },
): void {
  if (input.domainId !== undefined && input.domainId !== before.domain_id)
    throw invalid("domain_id", "Cannot change Domain ID.")
  if (input.parentId !== undefined && input.parentId !== before.parent_id)
    throw forbidden("Update of `parent_id` is not allowed.")
  if (input.isDomain !== undefined && input.isDomain !== before.is_domain)
    throw invalid("is_domain", "Update of `is_domain` is not allowed.")
}

/** A branch is disabled from its leaves up, and enabled from the top down. */
async function checkSwitch(tx: Tx, before: ProjectRow, isEnabled: boolean): Promise<void> {
  if (isEnabled) {
    const above = await listAncestors(tx, before.id)
    if (above.some((place) => !place.is_domain && !place.is_enabled))
      throw forbidden(`Cannot enable project ${before.id} since it has disabled parents.`)
    return
  }
  if (before.is_domain) return
  const below = await listDescendants(tx, before.id)
  if (below.some((place) => place.is_enabled))
    throw forbidden(`Cannot disable project ${before.id} since its subtree contains enabled projects.`)
}

export async function savePlace(
  tx: Tx,
  before: ProjectRow,
  changes: {
    name?: string
    isEnabled?: boolean
    description?: string | null
    tags?: string[]
    options?: Json
    extra?: Json
  },
): Promise<ProjectRow> {
  return await tx
    .updateTable("identity.project")
    .set({
      name: changes.name?.trim() ?? before.name,
      is_enabled: changes.isEnabled ?? before.is_enabled,
      description: changes.description === undefined ? before.description : (changes.description ?? ""),
      tags: changes.tags ?? before.tags,
      options: jsonb(changeOptions(placeOptions, before.options, changes.options)),
      extra: jsonb({ ...before.extra, ...changes.extra }),
      generation: before.generation + 1,
      updated_at: sql<Date>`now()`,
    })
    .where("id", "=", before.id)
    .where("generation", "=", before.generation)
    .returningAll()
    .executeTakeFirstOrThrow()
}

export const deleteProject = operation({
  name: "identity.project.delete",
  input: Type.Object({ id: Type.String(), isCascade: Type.Optional(Type.Boolean()) }),
  faults: [notFound, forbidden],
  load: (ctx, { id }) => findPlace(ctx.db, id),
  rule: "identity:delete_project",
  target: (_ctx, _input, row) => projectTarget(row),
  run: async (ctx, { id, isCascade }, row) => {
    found(row, "project", id)
    await changeIdentity(ctx, async (tx) => {
      const before = found(await lockPlace(tx, id), "project", id)
      refuseImmutable("project", before, "delete")
      if (before.is_domain) return await removeDomain(ctx, tx, before)
      const below = await listDescendants(tx, id)
      if (below.length > 0 && !isCascade) {
        throw forbidden(
          `Cannot delete the project ${id} since it is not a leaf in the hierarchy. Delete what is below it first.`,
        )
      }
      if (below.some((place) => place.is_enabled)) {
        throw forbidden(`Cannot delete project ${id} since its subtree contains enabled projects.`)
      }
      const ids = [id, ...below.map((place) => place.id)]
      await clearProjects(tx, ids)
      await tx.deleteFrom("identity.project").where("id", "in", ids).execute()
      for (const gone of ids) await announce(ctx, tx, "project", "deleted", gone)
    })
  },
})
