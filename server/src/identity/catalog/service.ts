// Make, get, list, change and delete services of the catalog.
import { sql } from "kysely"
import { Type } from "typebox"
import { newHexId } from "../../platform/ids/ids.ts"
import { boolean, columnsOf, field, nullable, text } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { found, missingOf, notFound } from "../faults.ts"
import { dropLimits } from "../limit/drop.ts"
import { asListed, everyone, extraField, find, idField, ruleFirst, textField, withExtra } from "../read.ts"

const ServiceType = Type.String({ minLength: 1, maxLength: 255 })

export const serviceNoun = noun({
  name: "identity.service",
  table: sql`identity.service`,
  alias: "s",
  fields: {
    id: idField("s"),
    type: field("text", ServiceType, sql`s.type`, { create: "required", update: true, filter: true }),
    name: nullable(text(sql`s.name`, { create: true, update: true, filter: true })),
    description: textField(sql`s.description`),
    isEnabled: boolean(sql`s.is_enabled`, { create: true, update: true, name: "enabled" }),
    extra: extraField("s"),
  },
  order: [
    { key: "type", direction: "asc" },
    { key: "id", direction: "asc" },
  ],
  visible: () => visibleToAll,
  ...missingOf("service"),
})

export type CatalogService = Thing<typeof serviceNoun>

export const createService = operation({
  name: "identity.service.create",
  input: serviceNoun.create,
  rule: "identity:create_service",
  run: async (ctx, input): Promise<CatalogService> =>
    await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const service = await insertThing(tx, serviceNoun, everyone, { values: columnsOf({ ...input, id }) })
      await announce(ctx, tx, "service", "created", id)
      return found(service, "service", id)
    }),
})

export const getService = getOf(serviceNoun, { ...ruleFirst, rule: "identity:get_service" })
export const listServices = listOf(serviceNoun, { ...asListed, rule: "identity:list_services" })

export const updateService = operation({
  name: "identity.service.update",
  input: Type.Object({ id: Type.String(), changes: serviceNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, serviceNoun, id),
  rule: "identity:update_service",
  run: async (ctx, { id, changes }, service): Promise<CatalogService> => {
    found(service, "service", id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await updateThing(tx, serviceNoun, everyone, id, columnsOf(withExtra(changes)))
      await announce(ctx, tx, "service", "updated", id)
      return found(after, "service", id)
    })
  },
})

export const deleteService = deleteOf(serviceNoun, {
  ...ruleFirst,
  rule: "identity:delete_service",
  event: "service",
  before: (ctx, tx, id) => dropLimits(ctx, tx, sql`service_id = ${id}`),
})
