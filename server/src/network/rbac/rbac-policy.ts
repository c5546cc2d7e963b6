// RBAC policies: who besides the owner may use a network, a group, a pool.
import { type RawBuilder, sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { field, text, time, uuid } from "../../platform/noun/field.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { type Create, noun, ruledFields, type Thing } from "../../platform/noun/noun.ts"
import { getOf, listOf, ThingInput } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { asksOf, enforceQuotaOfMade } from "../../quota/index.ts"
import { isAdmin } from "../admin.ts"
import {
  badRequest,
  externalInUse,
  forbiddenProject,
  rbacPolicyExists,
  rbacPolicyInUse,
  rbacPolicyNotFound,
} from "../faults.ts"
import { usersOfQosPolicy } from "../qos/use.ts"
import { networkQuota } from "../quota.ts"
import { attributeRules, bumpRevision, change, ownerOf, type Table } from "../resource/standard.ts"
import { everything, type Viewer, viewerOf } from "../resource/viewer.ts"
import { visibleTo } from "../resource/visible.ts"

const ObjectType = Type.Union([
  Type.Literal("network"),
  Type.Literal("security_group"),
  Type.Literal("address_scope"),
  Type.Literal("subnetpool"),
  Type.Literal("address_group"),
  Type.Literal("qos_policy"),
])
const Action = Type.Union([Type.Literal("access_as_shared"), Type.Literal("access_as_external")])

const listed = { filter: true, sort: true } as const

export const rbacPolicyNoun = noun({
  name: "network.rbac_policy",
  table: sql`network.rbac_policy`,
  alias: "b",
  fields: {
    id: uuid(sql`b.id`, listed),
    projectId: text(sql`b.project_id`, { create: true, name: "tenant_id", ...listed }),
    objectType: field("text", ObjectType, sql`b.object_type`, { create: "required", ...listed }),
    objectId: uuid(sql`b.object_id`, { create: "required", ...listed }),
    action: field("text", Action, sql`b.action`, { create: "required", ...listed }),
    targetTenant: text(sql`b.target_project`, { create: "required", update: true, rule: "write", ...listed }),
    createdAt: time(sql`b.created_at`, { internal: true }),
  },
  visible: (viewer: Viewer) => visibleTo(viewer, { owner: sql`b.project_id` }),
  notFound: rbacPolicyNotFound,
})

export type RbacPolicy = Thing<typeof rbacPolicyNoun>
export type RbacPolicyInput = Create<typeof rbacPolicyNoun>

const owners = {
  network: sql`select project_id from network.network where id = `,
  security_group: sql`select project_id from network.security_group where id = `,
  address_scope: sql`select project_id from network.address_scope where id = `,
  subnetpool: sql`select project_id from network.subnet_pool where id = `,
  address_group: sql`select project_id from network.address_group where id = `,
  qos_policy: sql`select project_id from network.qos_policy where id = `,
} as const satisfies Record<RbacPolicy["objectType"], RawBuilder<unknown>>

const target = (policy: { projectId: string; targetTenant: string }) => ({
  project_id: policy.projectId,
  tenant_id: policy.projectId,
  target_tenant: policy.targetTenant,
})

async function loadRbacPolicy(db: DbOrTx, id: string, viewer: Viewer = everything): Promise<RbacPolicy> {
  return await loadThing(db, rbacPolicyNoun, viewer, id)
}

const asked = { viewer: viewerOf, rule: "get_rbac_policy", target }

export const getRbacPolicy = getOf(rbacPolicyNoun, asked)
export const listRbacPolicies = listOf(rbacPolicyNoun, asked)

const ruled = ruledFields(rbacPolicyNoun.fields, "write")

export const createRbacPolicies = operation({
  name: "network.rbac_policy.create",
  input: Type.Object({ items: Type.Array(rbacPolicyNoun.create) }),
  faults: [badRequest, rbacPolicyNotFound, rbacPolicyExists, forbiddenProject],
  load: async (ctx, { items }) => {
    for (const policy of items) await checkObject(ctx, policy)
  },
  rules: ["create_rbac_policy"],
  authorize: (ctx, { items }) =>
    items.flatMap((input) => {
      const own = target({ projectId: ownerOf(ctx, input.projectId), targetTenant: input.targetTenant })
      return [
        ["create_rbac_policy", own] as const,
        ...attributeRules("create_rbac_policy", own, input, ruled),
      ]
    }),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: RbacPolicy[] = []
      for (const input of items) made.push(await insertPolicy(ctx, tx, input))
      const owners = items.map((input) => ownerOf(ctx, input.projectId))
      await enforceQuotaOfMade(ctx, tx, networkQuota, asksOf(owners, { rbac_policy: 1 }))
      return made
    }),
})

/**
 * Only the owner of a thing (or an administrator) may share it. Neutron answers 400, and so for what is not there: the
 * difference would tell a stranger which ids exist.
 */
async function checkObject(ctx: Ctx, input: RbacPolicyInput): Promise<void> {
  if (input.action === "access_as_external" && input.objectType !== "network")
    throw badRequest("Invalid input for operation: access_as_external is for networks.")
  const { rows } = isUuid(input.objectId)
    ? await sql<{ project_id: string }>`${owners[input.objectType]} ${input.objectId}`.execute(ctx.db)
    : { rows: [] }
  if (isAdmin(ctx) && !rows[0]) throw rbacPolicyNotFound(input.objectId)
  if (!isAdmin(ctx) && rows[0]?.project_id !== ctx.caller.projectId)
    throw badRequest(
      "Invalid input for operation: Only admins can manipulate policies on objects they do not own.",
    )
}

/** A pool is of use only to who sees the scope that its prefixes lie in. */
async function checkScopeOfPool(
  tx: Tx,
  policy: Pick<RbacPolicy, "objectType" | "objectId" | "targetTenant">,
) {
  if (policy.objectType !== "subnetpool") return
  const { rows } = await sql<{ id: string }>`select s.id from network.subnet_pool p
    join network.address_scope s on s.id = p.address_scope_id
    where p.id = ${policy.objectId} and s.project_id <> ${policy.targetTenant}
      and not exists (select from network.rbac_policy r where r.object_id = s.id
        and r.action = 'access_as_shared' and r.target_project in ('*', ${policy.targetTenant}))`.execute(tx)
  if (rows[0])
    throw badRequest(
      `Invalid input for operation: Unable to share subnet pool ${policy.objectId}: its address scope ${rows[0].id} ` +
        `is not shared with ${policy.targetTenant === "*" ? "everybody" : `project ${policy.targetTenant}`}.`,
    )
}

const tableOf = {
  network: "network",
  security_group: "securityGroup",
  address_scope: "addressScope",
  subnetpool: "subnetPool",
  address_group: "addressGroup",
  qos_policy: "qosPolicy",
} as const satisfies Record<RbacPolicy["objectType"], Table>

/** Who may use a thing shows in the thing, so its revision rises. */
const bumpObject = (tx: Tx, policy: Pick<RbacPolicy, "objectType" | "objectId">) =>
  bumpRevision(tx, tableOf[policy.objectType], [policy.objectId])

async function insertPolicy(ctx: Ctx, tx: Tx, input: RbacPolicyInput): Promise<RbacPolicy> {
  await checkScopeOfPool(tx, input)
  const row = await tx
    .insertInto("network.rbac_policy")
    .values({
      id: newUuid(),
      project_id: ownerOf(ctx, input.projectId),
      object_type: input.objectType,
      object_id: input.objectId,
      action: input.action,
      target_project: input.targetTenant,
    })
    .onConflict((oc) => oc.doNothing())
    .returning("id")
    .executeTakeFirst()
  if (!row) throw rbacPolicyExists()
  if (input.action === "access_as_external")
    await sql`update network.network set is_external = true where id = ${input.objectId}`.execute(tx)
  await bumpObject(tx, input)
  return await loadRbacPolicy(tx, row.id)
}

export const updateRbacPolicy = operation({
  name: "network.rbac_policy.update",
  input: Type.Object({
    id: Type.String(),
    changes: rbacPolicyNoun.changes,
  }),
  faults: [rbacPolicyNotFound, rbacPolicyInUse, rbacPolicyExists],
  load: (ctx, { id }) => loadRbacPolicy(ctx.db, id, viewerOf(ctx)),
  rules: ["update_rbac_policy"],
  authorize: (_ctx, { changes }, policy) => {
    const next = target({ ...policy, targetTenant: changes.targetTenant ?? policy.targetTenant })
    return [["update_rbac_policy", next], ...attributeRules("update_rbac_policy", next, changes, ruled)]
  },
  run: async (ctx, { id: rbacPolicyId, changes }) =>
    await change(ctx, async (tx) => {
      const policy = await takePolicy(tx, rbacPolicyId)
      if (changes.targetTenant !== undefined && changes.targetTenant !== policy.targetTenant) {
        const { rows } = await sql`select from network.rbac_policy where object_id = ${policy.objectId}
          and object_type = ${policy.objectType} and action = ${policy.action}
          and target_project = ${changes.targetTenant}`.execute(tx)
        if (rows.length > 0) throw rbacPolicyExists()
        await sql`update network.rbac_policy set target_project = ${changes.targetTenant}
          where id = ${rbacPolicyId}`.execute(tx)
        await checkScopeOfPool(tx, { ...policy, targetTenant: changes.targetTenant })
        await checkUnused(tx, policy)
        await bumpObject(tx, policy)
      }
      return await loadRbacPolicy(tx, rbacPolicyId)
    }),
})

export const deleteRbacPolicy = operation({
  name: "network.rbac_policy.delete",
  input: ThingInput,
  faults: [rbacPolicyNotFound, rbacPolicyInUse, externalInUse],
  load: (ctx, { id }) => loadRbacPolicy(ctx.db, id, viewerOf(ctx)),
  rule: "delete_rbac_policy",
  target: (_ctx, _input, policy) => target(policy),
  run: async (ctx, { id: rbacPolicyId }) =>
    await change(ctx, async (tx) => {
      const policy = await takePolicy(tx, rbacPolicyId)
      await sql`delete from network.rbac_policy where id = ${rbacPolicyId}`.execute(tx)
      await checkUnused(tx, policy)
      await bumpObject(tx, policy)
    }),
})

async function takePolicy(tx: Tx, id: string): Promise<RbacPolicy> {
  await sql`select from network.rbac_policy where id = ${id} for update`.execute(tx)
  return await loadRbacPolicy(tx, id)
}

/** Owner of the thing and the projects that use it. */
const usersOf: Readonly<Record<RbacPolicy["objectType"], (id: string) => RawBuilder<unknown>>> = {
  network: (id) => sql`select n.project_id as owner, p.project_id as "user" from network.port p
    join network.network n on n.id = p.network_id
    where n.id = ${id} and p.device_owner not like 'network:%'`,
  security_group: (id) => sql`select g.project_id as owner, p.project_id as "user"
    from network.port_security_group x join network.port p on p.id = x.port_id
    join network.security_group g on g.id = x.security_group_id where g.id = ${id}
    union all select g.project_id, r.project_id from network.security_group_rule r
    join network.security_group g on g.id = r.remote_group_id where g.id = ${id}`,
  address_group: (id) => sql`select g.project_id as owner, r.project_id as "user"
    from network.security_group_rule r join network.address_group g on g.id = r.remote_address_group_id
    where g.id = ${id}`,
  address_scope: (id) => sql`select s.project_id as owner, p.project_id as "user" from network.subnet_pool p
    join network.address_scope s on s.id = p.address_scope_id where s.id = ${id}`,
  subnetpool: (id) => sql`select o.project_id as owner, s.project_id as "user" from network.subnet s
    join network.subnet_pool o on o.id = s.subnet_pool_id where o.id = ${id}`,
  qos_policy: (id) => sql`select q.project_id as owner, u.project_id as "user" from network.qos_policy q,
    (${usersOfQosPolicy(id)}) u where q.id = ${id}`,
}

/** After the policy is gone, nobody may be left who had his right from it alone. */
export async function checkUnused(
  tx: Tx,
  policy: Pick<RbacPolicy, "action" | "objectType" | "objectId">,
): Promise<void> {
  if (policy.action === "access_as_external") {
    const { rows } = await sql<{ isUsed: boolean }>`update network.network n set is_external = exists (
        select from network.rbac_policy r where r.object_id = n.id and r.action = 'access_as_external')
      where n.id = ${policy.objectId} returning not n.is_external and exists (select from network.port p
        where p.network_id = n.id and p.device_owner in ('network:router_gateway', 'network:floatingip')) as "isUsed"`.execute(
      tx,
    )
    if (rows[0]?.isUsed) throw externalInUse(policy.objectId)
    return
  }
  const users = usersOf[policy.objectType](policy.objectId)
  const { rows } = await sql`select from (${users}) u where u."user" <> u.owner and u."user" <> ''
    and not exists (select from network.rbac_policy r where r.object_id = ${policy.objectId}
      and r.action = 'access_as_shared' and r.target_project in ('*', u."user")) limit 1`.execute(tx)
  if (rows.length > 0) throw rbacPolicyInUse(policy.objectId)
}
