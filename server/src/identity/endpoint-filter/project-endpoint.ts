// Which endpoints a project sees, one by one or by groups; a project with neither sees all.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { listThings } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { type Endpoint, endpointNoun } from "../catalog/endpoint.ts"
import { announce, type ChangeActor, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { type Project, projectNoun } from "../project/project.ts"
import { everyone, find } from "../read.ts"
import { Id } from "../shapes.ts"
import { type EndpointGroup, endpointGroupNoun } from "./endpoint-group.ts"

const pair = Type.Object({ projectId: Type.String(), endpointId: Type.String() })
const groupPair = Type.Object({ projectId: Type.String(), endpointGroupId: Type.String() })

async function requirePair(ctx: Ctx, { projectId, endpointId }: { projectId: string; endpointId: string }) {
  found(await find(ctx.db, endpointNoun, endpointId), "endpoint", endpointId)
  found(await find(ctx.db, projectNoun, projectId), "project", projectId)
}

async function requireGroupPair(
  ctx: Ctx,
  { projectId, endpointGroupId }: { projectId: string; endpointGroupId: string },
) {
  const group = found(
    await find(ctx.db, endpointGroupNoun, endpointGroupId),
    "endpoint group",
    endpointGroupId,
  )
  found(await find(ctx.db, projectNoun, projectId), "project", projectId)
  return group
}

/** What a project sees in its catalog has changed. */
async function announceProject(
  ctx: Ctx,
  tx: Tx,
  projectId: string,
  type: string,
  operation: ChangeActor["operation"],
  id: string,
): Promise<void> {
  await announce(ctx, tx, "project", "updated", projectId, { id, type, operation })
}

export const addProjectEndpoint = operation({
  name: "identity.project_endpoint.add",
  input: pair,
  faults: [notFound],
  rule: "identity:add_endpoint_to_project",
  run: async (ctx, input) => {
    await requirePair(ctx, input)
    await changeIdentity(ctx, async (tx) => {
      await tx
        .insertInto("identity.project_endpoint")
        .values({ project_id: input.projectId, endpoint_id: input.endpointId })
        .onConflict((oc) => oc.doNothing())
        .execute()
      await announceProject(ctx, tx, input.projectId, "endpoint", "added", input.endpointId)
    })
  },
})

export const checkProjectEndpoint = operation({
  name: "identity.project_endpoint.check",
  input: pair,
  faults: [notFound],
  rule: "identity:check_endpoint_in_project",
  run: async (ctx, input) => {
    await requirePair(ctx, input)
    const row = await ctx.db
      .selectFrom("identity.project_endpoint")
      .select("endpoint_id")
      .where("project_id", "=", input.projectId)
      .where("endpoint_id", "=", input.endpointId)
      .executeTakeFirst()
    if (!row) throw notFound("endpoint", `${input.endpointId} in project ${input.projectId}`)
  },
})

export const removeProjectEndpoint = operation({
  name: "identity.project_endpoint.remove",
  input: pair,
  faults: [notFound],
  rule: "identity:remove_endpoint_from_project",
  run: async (ctx, input) => {
    await changeIdentity(ctx, async (tx) => {
      const gone = await tx
        .deleteFrom("identity.project_endpoint")
        .where("project_id", "=", input.projectId)
        .where("endpoint_id", "=", input.endpointId)
        .returning("endpoint_id")
        .execute()
      if (gone.length === 0) throw notFound("endpoint", `${input.endpointId} in project ${input.projectId}`)
      await announceProject(ctx, tx, input.projectId, "endpoint", "removed", input.endpointId)
    })
  },
})

async function endpointsOfGroup(db: DbOrTx, { filters }: EndpointGroup): Promise<Endpoint[]> {
  const { interface: kind = null, service_id = null, region_id = null } = filters
  const matching = sql<boolean>`(${kind}::text is null or e.interface = ${kind})
    and (${service_id}::text is null or e.service_id = ${service_id})
    and (${region_id}::text is null or e.region_id = ${region_id})`
  return await listThings(db, endpointNoun, everyone, { also: [matching] })
}

async function groupsOfProject(db: DbOrTx, projectId: string): Promise<EndpointGroup[]> {
  const itsOwn = sql<boolean>`g.id in (
    select endpoint_group_id from identity.project_endpoint_group where project_id = ${projectId})`
  return await listThings(db, endpointGroupNoun, everyone, { also: [itsOwn] })
}

export const listProjectEndpoints = operation({
  name: "identity.project_endpoint.list",
  input: Type.Object({ projectId: Type.String() }),
  faults: [notFound],
  rule: "identity:list_endpoints_for_project",
  run: async (ctx, { projectId }): Promise<Endpoint[]> => {
    found(await find(ctx.db, projectNoun, projectId), "project", projectId)
    const itsOwn = sql<boolean>`e.id in (
      select endpoint_id from identity.project_endpoint where project_id = ${projectId})`
    const own = await listThings(ctx.db, endpointNoun, everyone, { also: [itsOwn] })
    const byId = new Map(own.map((row) => [row.id, row]))
    for (const group of await groupsOfProject(ctx.db, projectId)) {
      for (const row of await endpointsOfGroup(ctx.db, group)) byId.set(row.id, row)
    }
    return [...byId.values()]
  },
})

export const listEndpointProjects = operation({
  name: "identity.project_endpoint.list_projects",
  input: Id,
  faults: [notFound],
  rule: "identity:list_projects_for_endpoint",
  run: async (ctx, { id }): Promise<Project[]> => {
    found(await find(ctx.db, endpointNoun, id), "endpoint", id)
    const itsOwn = sql<boolean>`p.id in (
      select project_id from identity.project_endpoint where endpoint_id = ${id})`
    return await listThings(ctx.db, projectNoun, everyone, { also: [itsOwn] })
  },
})

export const addProjectEndpointGroup = operation({
  name: "identity.endpoint_group.add_project",
  input: groupPair,
  faults: [notFound],
  rule: "identity:add_endpoint_group_to_project",
  run: async (ctx, input) => {
    await requireGroupPair(ctx, input)
    await changeIdentity(ctx, async (tx) => {
      await tx
        .insertInto("identity.project_endpoint_group")
        .values({ project_id: input.projectId, endpoint_group_id: input.endpointGroupId })
        .onConflict((oc) => oc.doNothing())
        .execute()
      await announceProject(ctx, tx, input.projectId, "endpoint_group", "added", input.endpointGroupId)
    })
  },
})

export const getProjectEndpointGroup = operation({
  name: "identity.endpoint_group.check_project",
  input: groupPair,
  faults: [notFound],
  rule: "identity:get_endpoint_group_in_project",
  run: async (ctx, input): Promise<EndpointGroup> => {
    const group = await requireGroupPair(ctx, input)
    const row = await ctx.db
      .selectFrom("identity.project_endpoint_group")
      .select("project_id")
      .where("project_id", "=", input.projectId)
      .where("endpoint_group_id", "=", input.endpointGroupId)
      .executeTakeFirst()
    if (!row) throw notFound("endpoint group", `${input.endpointGroupId} in project ${input.projectId}`)
    return group
  },
})

export const removeProjectEndpointGroup = operation({
  name: "identity.endpoint_group.remove_project",
  input: groupPair,
  faults: [notFound],
  rule: "identity:remove_endpoint_group_from_project",
  run: async (ctx, input) => {
    await requireGroupPair(ctx, input)
    await changeIdentity(ctx, async (tx) => {
      const gone = await tx
        .deleteFrom("identity.project_endpoint_group")
        .where("project_id", "=", input.projectId)
        .where("endpoint_group_id", "=", input.endpointGroupId)
        .returning("project_id")
        .execute()
      if (gone.length === 0)
        throw notFound("endpoint group", `${input.endpointGroupId} in project ${input.projectId}`)
      await announceProject(ctx, tx, input.projectId, "endpoint_group", "removed", input.endpointGroupId)
    })
  },
})

export const listProjectEndpointGroups = operation({
  name: "identity.endpoint_group.list_of_project",
  input: Type.Object({ projectId: Type.String() }),
  faults: [notFound],
  rule: "identity:list_endpoint_groups_for_project",
  run: async (ctx, { projectId }): Promise<EndpointGroup[]> => {
    found(await find(ctx.db, projectNoun, projectId), "project", projectId)
    return await groupsOfProject(ctx.db, projectId)
  },
})

export const listGroupEndpoints = operation({
  name: "identity.endpoint_group.list_endpoints",
  input: Id,
  faults: [notFound],
  rule: "identity:list_endpoints_associated_with_endpoint_group",
  run: async (ctx, { id }): Promise<Endpoint[]> =>
    await endpointsOfGroup(ctx.db, found(await find(ctx.db, endpointGroupNoun, id), "endpoint group", id)),
})

export const listGroupProjects = operation({
  name: "identity.endpoint_group.list_projects",
  input: Id,
  faults: [notFound],
  rule: "identity:list_projects_associated_with_endpoint_group",
  run: async (ctx, { id }): Promise<Project[]> => {
    found(await find(ctx.db, endpointGroupNoun, id), "endpoint group", id)
    const itsOwn = sql<boolean>`p.id in (
      select project_id from identity.project_endpoint_group where endpoint_group_id = ${id})`
    return await listThings(ctx.db, projectNoun, everyone, { also: [itsOwn] })
  },
})
