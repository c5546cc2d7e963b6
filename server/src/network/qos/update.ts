import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { rbacPolicyInUse, revisionMismatch } from "../faults.ts"
import { grantAccess, revokeAccess } from "../rbac/grant.ts"
import { change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { grantOf, oneDefault } from "./create.ts"
import { qosDefaultExists, qosPolicyNotFound } from "./faults.ts"
import { loadQosPolicy, qosPolicyNoun, qosPolicyTarget } from "./qos-policy.ts"
import { usersOfQosPolicy } from "./use.ts"

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

/** Whoever still has a right by another RBAC policy may go on. */
async function unshare(tx: Tx, projectId: string, policyId: string): Promise<void> {
  await revokeAccess(tx, grantOf(projectId, policyId))
  const { rows } = await sql`select from (${usersOfQosPolicy(policyId)}) u
    where u.project_id not in ('', ${projectId})
      and not exists (select from network.rbac_policy r where r.object_id = ${policyId}
        and r.action = 'access_as_shared' and r.target_project = u.project_id) limit 1`.execute(tx)
  if (rows.length > 0) throw rbacPolicyInUse(policyId)
}
