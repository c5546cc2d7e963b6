// Makes, changes and deletes QoS policies.
import { sql } from "kysely"
import { Type } from "typebox"
import { type Tx, violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { forbiddenProject, rbacPolicyInUse, revisionMismatch } from "../faults.ts"
import { grantAccess, revokeAccess } from "../rbac/grant.ts"
import { change, lockRow, ownerOf, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { qosDefaultExists, qosPolicyInUse, qosPolicyNotFound } from "./faults.ts"
import { loadQosPolicy, type QosPolicy, qosPolicyNoun, qosPolicyTarget } from "./qos-policy.ts"
import { checkQosPolicyUnused, usersOfQosPolicy } from "./use.ts"

const grantOf = (projectId: string, policyId: string) =>
  ({ projectId, objectType: "qos_policy", objectId: policyId, action: "access_as_shared" }) as const

export const createQosPolicies = operation({
  name: "network.qos_policy.create",
  input: Type.Object({ items: Type.Array(qosPolicyNoun.create) }),
  faults: [qosDefaultExists, forbiddenProject],
  rules: ["create_policy"],
  authorize: (ctx, { items }) =>
    items.map((input) => [
      "create_policy",
      qosPolicyTarget({ projectId: ownerOf(ctx, input.projectId), shared: false }),
    ]),
  run: async (ctx, { items }) =>
    await change(ctx, async (tx) => {
      const made: QosPolicy[] = []
      for (const input of items) {
        const id = newUuid()
        const projectId = ownerOf(ctx, input.projectId)
        await oneDefault(projectId, () =>
          tx
            .insertInto("network.qos_policy")
            .values({
              id,
              project_id: projectId,
              name: input.name ?? "",
              description: input.description ?? "",
              tags: [...new Set(input.tags ?? [])],
              is_default: input.isDefault ?? false,
            })
            .execute(),
        )
        if (input.shared) await grantAccess(tx, grantOf(projectId, id))
        made.push(await loadQosPolicy(tx, id, { ...viewerOf(ctx), seesAll: true }))
      }
      return made
    }),
})

export const updateQosPolicy = operation({
  name: "network.qos_policy.update",
  input: Type.Object({
    id: Type.String(),
    expectedRevision: RevisionInput,
    changes: qosPolicyNoun.changes,
  }),
  faults: [qosPolicyNotFound, qosDefaultExists, rbacPolicyInUse, revisionMismatch],
  load: (ctx, { id }) => loadQosPolicy(ctx.db, id, viewerOf(ctx)),
  rule: "update_policy",
  target: (_ctx, _input, policy) => qosPolicyTarget(policy),
  run: async (ctx, { id, expectedRevision, changes }, { projectId }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "qosPolicy", id, qosPolicyNotFound, expectedRevision)
      if (changes.shared === true) await grantAccess(tx, grantOf(projectId, id))
      if (changes.shared === false) await unshare(tx, projectId, id)
      await oneDefault(projectId, () =>
        updateRow(tx, "qosPolicy", id, {
          name: changes.name,
          description: changes.description,
          is_default: changes.isDefault,
        }),
      )
      return await loadQosPolicy(tx, id, { ...viewerOf(ctx), seesAll: true })
    }),
})

export const deleteQosPolicy = operation({
  name: "network.qos_policy.delete",
  input: Type.Object({ id: Type.String(), expectedRevision: RevisionInput }),
  faults: [qosPolicyNotFound, qosPolicyInUse, revisionMismatch],
  load: (ctx, { id }) => loadQosPolicy(ctx.db, id, viewerOf(ctx)),
  rule: "delete_policy",
  target: (_ctx, _input, policy) => qosPolicyTarget(policy),
  run: async (ctx, { id, expectedRevision }) =>
    await change(ctx, async (tx) => {
      await lockRow(tx, "qosPolicy", id, qosPolicyNotFound, expectedRevision)
      await checkQosPolicyUnused(tx, id)
      await sql`delete from network.rbac_policy where object_id = ${id}`.execute(tx)
      await sql`delete from network.qos_policy where id = ${id}`.execute(tx)
    }),
})

async function oneDefault(projectId: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (violatedConstraint(error) === "qos_policy_one_default") throw qosDefaultExists(projectId)
    throw error
  }
}

/** Whoever still has a right by another RBAC policy may go on. */
async function unshare(tx: Tx, projectId: string, policyId: string): Promise<void> {
  await revokeAccess(tx, grantOf(projectId, policyId))
  const { rows } = await sql`select from (${usersOfQosPolicy(policyId)}) u
    where u.project_id not in ('', ${projectId})
      and not exists (select from network.rbac_policy r where r.object_id = ${policyId}
        and r.action = 'access_as_shared' and r.target_project = u.project_id) limit 1`.execute(tx)
  if (rows.length > 0) throw rbacPolicyInUse(policyId)
}
