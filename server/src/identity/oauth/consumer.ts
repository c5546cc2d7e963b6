// OAuth 1 consumers: programs that users may let act for them.
import { sql } from "kysely"
import { Type } from "typebox"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { found, missingOf, notFound } from "../faults.ts"
import {
  asListed,
  everyone,
  extraField,
  find,
  idField,
  ruleFirst,
  sorts,
  textField,
  withExtra,
} from "../read.ts"

const event = "OS-OAUTH1:consumer"

export const consumerNoun = noun({
  name: "identity.oauth_consumer",
  table: sql`identity.oauth_consumer`,
  alias: "c",
  fields: {
    id: idField("c"),
    description: textField(sql`c.description`),
    /** Shown once; named in a change only to be refused. */
    secret: field("text", Type.String(), sql`c.secret`, { update: true }),
    extra: extraField("c"),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("consumer"),
})

export type Consumer = Thing<typeof consumerNoun>

/** The secret is shown here and never again. */
export const createConsumer = operation({
  name: "identity.oauth_consumer.create",
  input: consumerNoun.create,
  rule: "identity:create_consumer",
  run: async (ctx, input): Promise<Consumer> =>
    await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const values = columnsOf({ ...input, id, secret: newHexId() })
      const consumer = await insertThing(tx, consumerNoun, everyone, { values })
      await announce(ctx, tx, event, "created", id)
      return found(consumer, "consumer", id)
    }),
})

export const getConsumer = getOf(consumerNoun, { ...ruleFirst, rule: "identity:get_consumer" })
export const listConsumers = listOf(consumerNoun, { ...asListed, rule: "identity:list_consumers" })

export const updateConsumer = operation({
  name: "identity.oauth_consumer.update",
  input: Type.Object({ id: Type.String(), changes: consumerNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, consumerNoun, id),
  rule: "identity:update_consumer",
  run: async (ctx, { id, changes }, consumer): Promise<Consumer> => {
    found(consumer, "consumer", id)
    if (changes.secret !== undefined) throw invalid("secret", "Cannot change consumer secret")
    return await changeIdentity(ctx, async (tx) => {
      const after = await updateThing(tx, consumerNoun, everyone, id, columnsOf(withExtra(changes)))
      await announce(ctx, tx, event, "updated", id)
      return found(after, "consumer", id)
    })
  },
})

export const deleteConsumer = deleteOf(consumerNoun, {
  ...ruleFirst,
  rule: "identity:delete_consumer",
  event,
})
