import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { rbacPolicyInUse, revisionMismatch } from "../faults.ts"
import { grantAccess, revokeAccess } from "../rbac/grant.ts"
import { checkUnused } from "../rbac/rbac-policy.ts"
import { change, lockRow, RevisionInput, updateRow } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { grantOf, oneDefault } from "./create.ts"
import { qosDefaultExists, qosPolicyNotFound } from "./faults.ts"
import { loadQosPolicy, qosPolicyNoun, qosPolicyTarget } from "./qos-policy.ts"

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
      const grant = grantOf(projectId, id)
      if (changes.shared === true) await grantAccess(tx, grant)
      if (changes.shared === false) {
        await revokeAccess(tx, grant)
        await checkUnused(tx, grant)
      }
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
