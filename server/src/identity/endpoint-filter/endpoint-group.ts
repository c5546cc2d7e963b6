// Groups of endpoints by what they have in common (service, interface, region); a project may see some groups only.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { jsonb } from "../../platform/db/database.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Id, ResourceName, Text } from "../shapes.ts"
import type { EndpointGroupTable } from "../tables.ts"

export type EndpointGroupRow = Selectable<EndpointGroupTable>

const groupList: ListSpec = {
  table: sql`identity.endpoint_group`,
  columns: { name: sql`name` },
  orderColumn: "name",
}

const Filters = Type.Object(
  {
    service_id: Type.Optional(Type.String()),
    region_id: Type.Optional(Type.String()),
    interface: Type.Optional(Type.Unsafe<string>({ type: "string", enum: ["public", "internal", "admin"] })),
  },
  { additionalProperties: false },
)

export async function findEndpointGroup(db: DbOrTx, id: string): Promise<EndpointGroupRow | null> {
  const row = await db
    .selectFrom("identity.endpoint_group")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst()
  return row ?? null
}

export const createEndpointGroup = operation({
  name: "identity.endpoint_group.create",
  input: Type.Object({ name: ResourceName, description: Type.Optional(Text), filters: Filters }),
  rule: "identity:create_endpoint_group",
  run: async (ctx, input): Promise<EndpointGroupRow> =>
    await changeIdentity(ctx, async (tx) => {
      const row = await tx
        .insertInto("identity.endpoint_group")
        .values({
          id: newHexId(),
          name: input.name,
          description: input.description ?? null,
          filters: jsonb(input.filters),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "endpoint_group", "created", row.id)
      return row
    }),
})

export const getEndpointGroup = operation({
  name: "identity.endpoint_group.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findEndpointGroup(ctx.db, id),
  rule: "identity:get_endpoint_group",
  run: async (_ctx, { id }, row) => found(row, "endpoint group", id),
})

export const listEndpointGroups = operation({
  name: "identity.endpoint_group.list",
  input: ListInput,
  rule: "identity:list_endpoint_groups",
  run: async (ctx, input): Promise<Rows<EndpointGroupRow>> => await listRows(ctx, groupList, input),
})

export const updateEndpointGroup = operation({
  name: "identity.endpoint_group.update",
  input: Type.Object({
    id: Type.String(),
    name: Type.Optional(ResourceName),
    description: Type.Optional(Text),
    filters: Type.Optional(Filters),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findEndpointGroup(ctx.db, id),
  rule: "identity:update_endpoint_group",
  run: async (ctx, input, row): Promise<EndpointGroupRow> => {
    found(row, "endpoint group", input.id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await tx
        .updateTable("identity.endpoint_group")
        .set({
          id: input.id,
          ...(input.name === undefined ? {} : { name: input.name }),
          ...(input.description === undefined ? {} : { description: input.description }),
          ...(input.filters === undefined ? {} : { filters: jsonb(input.filters) }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "endpoint_group", "updated", input.id)
      return found(after, "endpoint group", input.id)
    })
  },
})

export const deleteEndpointGroup = operation({
  name: "identity.endpoint_group.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findEndpointGroup(ctx.db, id),
  rule: "identity:delete_endpoint_group",
  run: async (ctx, { id }, row) => {
    found(row, "endpoint group", id)
    await changeIdentity(ctx, async (tx) => {
      await tx.deleteFrom("identity.endpoint_group").where("id", "=", id).execute()
      await announce(ctx, tx, "endpoint_group", "deleted", id)
    })
  },
})
