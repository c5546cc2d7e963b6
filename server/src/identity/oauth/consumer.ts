// OAuth 1 consumers: programs that users may let act for them.
import { sql } from "kysely"
import { Type } from "typebox"
import { jsonb } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Extra, Id, Text } from "../shapes.ts"
import { type ConsumerRow, findConsumer } from "./store.ts"

const consumerList: ListSpec = { table: sql`identity.oauth_consumer`, columns: {} }

/** The secret is shown here and never again. */
export const createConsumer = operation({
  name: "identity.oauth_consumer.create",
  input: Type.Object({ description: Type.Optional(Text), extra: Type.Optional(Extra) }),
  rule: "identity:create_consumer",
  run: async (ctx, input): Promise<ConsumerRow> =>
    await changeIdentity(ctx, async (tx) => {
      const row = await tx
        .insertInto("identity.oauth_consumer")
        .values({
          id: newHexId(),
          description: input.description ?? null,
          secret: newHexId(),
          extra: jsonb(input.extra ?? {}),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "OS-OAUTH1:consumer", "created", row.id)
      return row
    }),
})

export const getConsumer = operation({
  name: "identity.oauth_consumer.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findConsumer(ctx.db, id),
  rule: "identity:get_consumer",
  run: async (_ctx, { id }, row) => found(row, "consumer", id),
})

export const listConsumers = operation({
  name: "identity.oauth_consumer.list",
  input: ListInput,
  rule: "identity:list_consumers",
  run: async (ctx, input): Promise<Rows<ConsumerRow>> => await listRows(ctx, consumerList, input),
})

export const updateConsumer = operation({
  name: "identity.oauth_consumer.update",
  input: Type.Object({
    id: Type.String(),
    description: Type.Optional(Text),
    secret: Type.Optional(Type.String()),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findConsumer(ctx.db, id),
  rule: "identity:update_consumer",
  run: async (ctx, input, row): Promise<ConsumerRow> => {
    found(row, "consumer", input.id)
    if (input.secret !== undefined) throw invalid("secret", "Cannot change consumer secret")
    return await changeIdentity(ctx, async (tx) => {
      const after = await tx
        .updateTable("identity.oauth_consumer")
        .set({
          id: input.id,
          ...(input.description === undefined ? {} : { description: input.description }),
          ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "OS-OAUTH1:consumer", "updated", input.id)
      return found(after, "consumer", input.id)
    })
  },
})

export const deleteConsumer = operation({
  name: "identity.oauth_consumer.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findConsumer(ctx.db, id),
  rule: "identity:delete_consumer",
  run: async (ctx, { id }, row) => {
    found(row, "consumer", id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.oauth_consumer").where("id", "=", id).execute()
      await announce(ctx, tx, "OS-OAUTH1:consumer", "deleted", id)
    })
  },
})
