import { Type } from "typebox"
import { violatedConstraint } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { forbiddenProject } from "../faults.ts"
import { grantAccess } from "../rbac/grant.ts"
import { change, ownerOf } from "../resource/standard.ts"
import { viewerOf } from "../resource/viewer.ts"
import { qosDefaultExists } from "./faults.ts"
import { loadQosPolicy, type QosPolicy, qosPolicyNoun, qosPolicyTarget } from "./qos-policy.ts"

/** To everybody. */
export const grantOf = (projectId: string, policyId: string) =>
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

export async function oneDefault(projectId: string, write: () => Promise<unknown>): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (violatedConstraint(error) === "qos_policy_one_default") throw qosDefaultExists(projectId)
    throw error
  }
}
