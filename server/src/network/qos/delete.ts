import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { revisionMismatch } from "../faults.ts"
import { change, lockRow, RevisionInput } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { qosPolicyInUse, qosPolicyNotFound } from "./faults.ts"
import { loadQosPolicy, qosPolicyTarget } from "./qos-policy.ts"
import { checkQosPolicyUnused } from "./use.ts"

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
