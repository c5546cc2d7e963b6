// Groups of endpoints by what they have in common (service, interface, region); a project may see some groups only.
import { sql } from "kysely"
import { Type } from "typebox"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field, structure } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { deleteOf } from "../delete.ts"
import { found, missingOf, notFound } from "../faults.ts"
import { asListed, everyone, find, idField, ruleFirst, sorts, textField } from "../read.ts"
import { ResourceName } from "../shapes.ts"

const Filters = Type.Object(
  {
    service_id: Type.Optional(Type.String()),
    region_id: Type.Optional(Type.String()),
    interface: Type.Optional(Type.Unsafe<string>({ type: "string", enum: ["public", "internal", "admin"] })),
  },
  { additionalProperties: false },
)

const given = { create: "required", update: true } as const

export const endpointGroupNoun = noun({
  name: "identity.endpoint_group",
  table: sql`identity.endpoint_group`,
  alias: "g",
  fields: {
    id: idField("g"),
    name: field("text", ResourceName, sql`g.name`, { ...given, filter: true }),
    description: textField(sql`g.description`),
    filters: structure(Filters, sql`g.filters`, given),
  },
  order: sorts.byName,
  visible: () => visibleToAll,
  ...missingOf("endpoint group"),
})

export type EndpointGroup = Thing<typeof endpointGroupNoun>

export const createEndpointGroup = operation({
  name: "identity.endpoint_group.create",
  input: endpointGroupNoun.create,
  rule: "identity:create_endpoint_group",
  run: async (ctx, input): Promise<EndpointGroup> =>
    await changeIdentity(ctx, async (tx) => {
      const id = newHexId()
      const group = await insertThing(tx, endpointGroupNoun, everyone, {
        values: columnsOf({ ...input, id }),
      })
      await announce(ctx, tx, "endpoint_group", "created", id)
      return found(group, "endpoint group", id)
    }),
})

export const getEndpointGroup = getOf(endpointGroupNoun, {
  ...ruleFirst,
  rule: "identity:get_endpoint_group",
})
export const listEndpointGroups = listOf(endpointGroupNoun, {
  ...asListed,
  rule: "identity:list_endpoint_groups",
})

export const updateEndpointGroup = operation({
  name: "identity.endpoint_group.update",
  input: Type.Object({ id: Type.String(), changes: endpointGroupNoun.changes }),
  faults: [notFound],
  load: (ctx, { id }) => find(ctx.db, endpointGroupNoun, id),
  rule: "identity:update_endpoint_group",
  run: async (ctx, { id, changes }, group): Promise<EndpointGroup> => {
    found(group, "endpoint group", id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await updateThing(tx, endpointGroupNoun, everyone, id, columnsOf(changes))
      await announce(ctx, tx, "endpoint_group", "updated", id)
      return found(after, "endpoint group", id)
    })
  },
})

export const deleteEndpointGroup = deleteOf(endpointGroupNoun, {
  ...ruleFirst,
  rule: "identity:delete_endpoint_group",
  event: "endpoint_group",
})
