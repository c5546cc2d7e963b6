// Server groups: rules about which servers share a host. The members are the servers that name the group.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { integer, nullable, text, texts, time, uuid, word } from "../../platform/noun/field.ts"
import { insertThing, ListQuery, listThings } from "../../platform/noun/list.ts"
import { noun, type Thing } from "../../platform/noun/noun.ts"
import { getOf, loadOf, ThingInput, targetOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import { isAdmin } from "../admin.ts"
import { computeQuota } from "../quota/resources.ts"
import type {} from "../tables.ts"
import { everything, type Viewer, viewerOf, visibleTo } from "../viewer.ts"
import { serverGroupNotFound, serverGroupRulesUnsupported } from "./faults.ts"

export const groupPolicies = ["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"] as const
export type GroupPolicy = (typeof groupPolicies)[number]

export const serverGroupNoun = noun({
  name: "compute.server_group",
  table: sql`compute.server_group`,
  alias: "g",
  fields: {
    id: uuid(sql`g.id`),
    projectId: text(sql`g.project_id`),
    userId: text(sql`g.user_id`),
    name: text(sql`g.name`, { create: "required", input: Type.String({ minLength: 1, maxLength: 255 }) }),
    policy: word(groupPolicies, sql`g.policy`, { create: "required" }),
    /** Only with anti-affinity; null is one. */
    maxServersPerHost: nullable(
      integer(sql`g.max_servers_per_host`, {
        create: true,
        input: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
      }),
    ),
    /** Ids of servers that are not deleted, oldest first. */
    memberIds: texts(sql`array(select s.id from compute.server s
      where s.server_group_id = g.id and s.deleted_at is null order by s.number)`),
    createdAt: time(sql`g.created_at`),
  },
  /** Another project's counts as none. Nova says 403, which tells that there is such a group. */
  visible: (viewer: Viewer) => visibleTo(viewer, sql`g.project_id`),
  notFound: serverGroupNotFound,
})

export type ServerGroup = Thing<typeof serverGroupNoun>

/** What a group asks of the host that one of its servers goes to. */
export interface GroupPlacement {
  policy: GroupPolicy
  /** Host → members of the group on it. */
  members: ReadonlyMap<string, number>
  maxPerHost: number
}

const rules = "os_compute_api:os-server-groups"

export const createServerGroup = operation({
  name: "compute.server_group.create",
  input: serverGroupNoun.create,
  faults: [serverGroupRulesUnsupported, quotaExceeded],
  rule: `${rules}:create`,
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { name, policy, maxServersPerHost }) => {
    if (maxServersPerHost !== undefined && policy !== "anti-affinity") throw serverGroupRulesUnsupported()
    const owner = { projectId: ctx.caller.projectId ?? "", userId: ctx.caller.userId }
    return await transact(ctx.db, async (tx) => {
      await enforceQuota(ctx, tx, computeQuota, { ...owner, add: { server_groups: 1 } })
      const group = await insertThing(tx, serverGroupNoun, everything, {
        values: {
          id: newUuid(),
          project_id: owner.projectId,
          user_id: owner.userId,
          name,
          policy,
          max_servers_per_host: maxServersPerHost,
          created_at: ctx.clock.now(),
        },
      })
      if (!group) throw new Error("the id of a new server group is taken")
      await notify(ctx, tx, "create", group)
      return group
    })
  },
})

const found = {
  viewer: viewerOf,
  target: ({ projectId }: ServerGroup) => ({ project_id: projectId }),
}
const load = loadOf(serverGroupNoun, found)

export const showServerGroup = getOf(serverGroupNoun, { ...found, rule: `${rules}:show` })

/** Its servers live on without a group. */
export const deleteServerGroup = operation({
  name: "compute.server_group.delete",
  input: ThingInput,
  faults: [serverGroupNotFound],
  load,
  rule: `${rules}:delete`,
  target: targetOf(found),
  run: async (ctx, { id }, group) => {
    await transact(ctx.db, async (tx) => {
      // The group first: who puts a server into it holds the row until that server can be seen here.
      const done = await tx.deleteFrom("compute.server_group").where("id", "=", id).executeTakeFirst()
      await sql`update compute.server set server_group_id = null
        where server_group_id = ${id} and deleted_at is null`.execute(tx)
      if (done.numDeletedRows === 0n) throw serverGroupNotFound(id)
      await notify(ctx, tx, "delete", group)
    })
  },
})

export const listServerGroups = operation({
  name: "compute.server_group.list",
  input: Type.Object({
    /** Only administrators get those of all; others get their own and no error, as from Nova. */
    isOfAllProjects: Type.Boolean(),
    query: ListQuery,
    offset: Type.Integer({ minimum: 0 }),
  }),
  rules: [`${rules}:index`, `${rules}:index:all_projects`],
  authorize: (ctx, input) => {
    const target = { project_id: ctx.caller.projectId }
    const ofAll = isOfAll(ctx, input) ? ([`${rules}:index:all_projects`, target] as const) : null
    return [[`${rules}:index`, target], ...(ofAll ? [ofAll] : [])]
  },
  run: (ctx, input) => {
    const viewer = { projectId: ctx.caller.projectId, seesAll: isOfAll(ctx, input) }
    return listThings(ctx.db, serverGroupNoun, viewer, { ...input.query, offset: input.offset })
  },
})

function isOfAll(ctx: Ctx, input: { isOfAllProjects: boolean }): boolean {
  return input.isOfAllProjects && isAdmin(ctx)
}

async function notify(ctx: Ctx, tx: Tx, event: "create" | "delete", group: ServerGroup): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `servergroup.${event}`,
    publisher: "servergroup.api",
    projectId: group.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: group.id,
    payload: {
      server_group_id: group.id,
      project_id: group.projectId,
      user_id: group.userId,
      name: group.name,
      policies: [group.policy],
    },
  })
}
