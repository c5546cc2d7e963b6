import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { enforceQuota, quotaExceeded } from "../../quota/index.ts"
import { isAdmin } from "../admin.ts"
import { computeQuota } from "../quota/resources.ts"
import { serverGroupNotFound, serverGroupRulesUnsupported } from "./faults.ts"
import { groupPolicies, type ServerGroup } from "./server-group.ts"
import { deleteServerGroupRow, findServerGroup, insertServerGroup, selectServerGroups } from "./store.ts"

const rules = "os_compute_api:os-server-groups"

export const createServerGroup = operation({
  name: "compute.server_group.create",
  input: Type.Object({
    name: Type.String({ minLength: 1, maxLength: 255 }),
    policy: Type.Enum([...groupPolicies]),
    maxServersPerHost: Type.Union([Type.Integer({ minimum: 1, maximum: 2_147_483_647 }), Type.Null()]),
  }),
  faults: [serverGroupRulesUnsupported, quotaExceeded],
  rule: `${rules}:create`,
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, input) => {
    if (input.maxServersPerHost !== null && input.policy !== "anti-affinity")
      throw serverGroupRulesUnsupported()
    const owner = { projectId: ctx.caller.projectId ?? "", userId: ctx.caller.userId }
    return await transact(ctx.db, async (tx) => {
      await enforceQuota(ctx, tx, computeQuota, { ...owner, add: { server_groups: 1 } })
      const group = await insertServerGroup(tx, { ...input, ...owner, createdAt: ctx.clock.now() })
      await notify(ctx, tx, "create", group)
      return group
    })
  },
})

/** Another project's counts as none. Nova says 403, which tells that there is such a group. */
async function visibleGroup(ctx: Ctx, input: { serverGroupId: string }): Promise<ServerGroup> {
  const group = await findServerGroup(ctx.db, input.serverGroupId)
  const isVisible = group && (group.projectId === ctx.caller.projectId || isAdmin(ctx))
  if (!isVisible) throw serverGroupNotFound(input.serverGroupId)
  return group
}

const GroupInput = Type.Object({ serverGroupId: Type.String() })

export const showServerGroup = operation({
  name: "compute.server_group.get",
  input: GroupInput,
  faults: [serverGroupNotFound],
  load: visibleGroup,
  rule: `${rules}:show`,
  target: (_ctx, _input, group) => ({ project_id: group.projectId }),
  run: async (_ctx, _input, group) => group,
})

export const deleteServerGroup = operation({
  name: "compute.server_group.delete",
  input: GroupInput,
  faults: [serverGroupNotFound],
  load: visibleGroup,
  rule: `${rules}:delete`,
  target: (_ctx, _input, group) => ({ project_id: group.projectId }),
  run: async (ctx, _input, group) => {
    await transact(ctx.db, async (tx) => {
      if (!(await deleteServerGroupRow(tx, group.id))) throw serverGroupNotFound(group.id)
      await notify(ctx, tx, "delete", group)
    })
  },
})

export const listServerGroups = operation({
  name: "compute.server_group.list",
  input: Type.Object({
    /** Only administrators get those of all; others get their own and no error, as from Nova. */
    isOfAllProjects: Type.Boolean(),
    /** null: as many as one page may have. */
    limit: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
    offset: Type.Integer({ minimum: 0 }),
  }),
  rules: [`${rules}:index`, `${rules}:index:all_projects`],
  authorize: (ctx, input) => {
    const target = { project_id: ctx.caller.projectId }
    const ofAll = isOfAll(ctx, input) ? ([`${rules}:index:all_projects`, target] as const) : null
    return [[`${rules}:index`, target], ...(ofAll ? [ofAll] : [])]
  },
  run: async (ctx, input) => {
    const limitMost = ctx.config.compute.listLimitMost
    return await selectServerGroups(ctx.db, isOfAll(ctx, input) ? null : (ctx.caller.projectId ?? ""), {
      limit: Math.min(input.limit ?? limitMost, limitMost),
      offset: input.offset,
    })
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
