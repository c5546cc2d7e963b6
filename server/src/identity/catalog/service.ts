// Make, get, list, change and delete services of the catalog.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import { type DbOrTx, jsonb } from "../../platform/db/database.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { announce, changeIdentity } from "../change.ts"
import { found, notFound } from "../faults.ts"
import { dropLimits } from "../limit/drop.ts"
import { ListInput, type ListSpec, listRows, type Rows } from "../list.ts"
import { Extra, Id, Text } from "../shapes.ts"
import type { ServiceTable } from "../tables.ts"

export type ServiceRow = Selectable<ServiceTable>

const serviceList: ListSpec = {
  table: sql`identity.service`,
  columns: { type: sql`type`, name: sql`name` },
  orderColumn: "type",
}

const ServiceType = Type.String({ minLength: 1, maxLength: 255 })
const ServiceName = Type.Optional(Type.Union([Type.String({ maxLength: 255 }), Type.Null()]))

export async function findService(db: DbOrTx, id: string): Promise<ServiceRow | null> {
  const row = await db.selectFrom("identity.service").selectAll().where("id", "=", id).executeTakeFirst()
  return row ?? null
}

export const createService = operation({
  name: "identity.service.create",
  input: Type.Object({
    type: ServiceType,
    name: ServiceName,
    description: Type.Optional(Text),
    isEnabled: Type.Optional(Type.Boolean()),
    extra: Type.Optional(Extra),
  }),
  rule: "identity:create_service",
  run: async (ctx, input): Promise<ServiceRow> =>
    await changeIdentity(ctx, async (tx) => {
      const row = await tx
        .insertInto("identity.service")
        .values({
          id: newHexId(),
          type: input.type,
          name: input.name ?? null,
          description: input.description ?? null,
          is_enabled: input.isEnabled ?? true,
          extra: jsonb(input.extra ?? {}),
        })
        .returningAll()
        .executeTakeFirstOrThrow()
      await announce(ctx, tx, "service", "created", row.id)
      return row
    }),
})

export const getService = operation({
  name: "identity.service.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findService(ctx.db, id),
  rule: "identity:get_service",
  run: async (_ctx, { id }, row) => found(row, "service", id),
})

export const listServices = operation({
  name: "identity.service.list",
  input: ListInput,
  rule: "identity:list_services",
  run: async (ctx, input): Promise<Rows<ServiceRow>> => await listRows(ctx, serviceList, input),
})

export const updateService = operation({
  name: "identity.service.update",
  input: Type.Object({
    id: Type.String(),
    type: Type.Optional(ServiceType),
    name: ServiceName,
    description: Type.Optional(Text),
    isEnabled: Type.Optional(Type.Boolean()),
    extra: Type.Optional(Extra),
  }),
  faults: [notFound],
  load: (ctx, { id }) => findService(ctx.db, id),
  rule: "identity:update_service",
  run: async (ctx, input, row): Promise<ServiceRow> => {
    found(row, "service", input.id)
    return await changeIdentity(ctx, async (tx) => {
      const after = await tx
        .updateTable("identity.service")
        .set({
          id: input.id,
          ...(input.type === undefined ? {} : { type: input.type }),
          ...(input.name === undefined ? {} : { name: input.name }),
          ...(input.description === undefined ? {} : { description: input.description }),
          ...(input.isEnabled === undefined ? {} : { is_enabled: input.isEnabled }),
          ...(input.extra === undefined ? {} : { extra: sql<never>`extra || ${jsonb(input.extra)}` }),
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "service", "updated", input.id)
      return found(after, "service", input.id)
    })
  },
})

export const deleteService = operation({
  name: "identity.service.delete",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findService(ctx.db, id),
  rule: "identity:delete_service",
  run: async (ctx, { id }, row) => {
    found(row, "service", id)
    await changeIdentity(ctx, async (tx) => {
      await dropLimits(ctx, tx, sql`service_id = ${id}`)
      await tx.deleteFrom("identity.service").where("id", "=", id).execute()
      await announce(ctx, tx, "service", "deleted", id)
    })
  },
})
