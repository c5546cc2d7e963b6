// Policy documents that services once fetched from here: kept and handed out, not interpreted.
import { sql } from "kysely"
import { Type } from "typebox"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { found, missingOf, notFound } from "../faults.ts"
import { asListed, everyone, extraField, find, idField, ruleFirst, sorts, withExtra } from "../read.ts"

const given = { create: "required", update: true } as const

export const policyNoun = noun({
  name: "identity.policy",
  table: sql`identity.policy`,
  alias: "p",
  fields: {
    id: idField("p"),
    type: field("text", Type.String({ minLength: 1, maxLength: 255 }), sql`p.type`, {
      ...given,
      filter: true,
    }),
    blob: field("text", Type.String(), sql`p.blob`, given),
    extra: extraField("p"),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("policy"),
})

export type PolicyDocument = Thing<typeof policyNoun>

export const createPolicy = operation({
  name: "identity.policy.create",
  input: policyNoun.create,
  rule: "identity:create_policy",
  run: async (ctx, input): Promise<PolicyDocument> =>
    await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const policy = await insertThing(tx, policyNoun, everyone, { values: columnsOf({ ...input, id }) })
      await announce(ctx, tx, "policy", "created", id)
      return found(policy, "policy", id)
    }),
})

export const getPolicy = getOf(policyNoun, { ...ruleFirst, rule: "identity:get_policy" })
export const listPolicies = listOf(policyNoun, { ...asListed, rule: "identity:list_policies" })

export const updatePolicy = operation({
  name: "identity.policy.update",
  input: Type.Object({ id: Type.String(), changes: policyNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, policyNoun, id),
  rule: "identity:update_policy",
  run: async (ctx, { id, changes }, policy): Promise<PolicyDocument> => {
    found(policy, "policy", id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await updateThing(tx, policyNoun, everyone, id, columnsOf(withExtra(changes)))
      await announce(ctx, tx, "policy", "updated", id)
      return found(after, "policy", id)
    })
  },
})

export const deletePolicy = deleteOf(policyNoun, {
  ...ruleFirst,
  rule: "identity:delete_policy",
  event: "policy",
})
