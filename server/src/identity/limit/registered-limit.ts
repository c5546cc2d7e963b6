// The default of each resource that services ask about, in the whole cloud or in one region.
import { type Selectable, sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { operation } from "../../platform/operation/operation.ts"
import { regionNoun } from "../catalog/region.ts"
import { serviceNoun } from "../catalog/service.ts"
import { announce, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, notFound } from "../faults.ts"
import { ListInput, type ListSpec, listRows } from "../list.ts"
import { find, type Rows } from "../read.ts"
import { Id, ResourceName, Text } from "../shapes.ts"
import type { RegisteredLimitTable } from "../tables.ts"

export type RegisteredLimitRow = Selectable<RegisteredLimitTable>

const registeredLimitList: ListSpec = {
  table: sql`identity.registered_limit`,
  columns: { service_id: sql`service_id`, region_id: sql`region_id`, resource_name: sql`resource_name` },
}

export const LimitValue = Type.Integer({ minimum: -1, maximum: 0x7fff_ffff })

export async function findRegisteredLimit(db: DbOrTx, id: string): Promise<RegisteredLimitRow | null> {
  const row = await db
    .selectFrom("identity.registered_limit")
    .selectAll()
    .where("id", "=", id)
    .executeTakeFirst()
  return row ?? null
}

/** A broken unique constraint, or a limit that stands on what is to go. */
function explain(constraint: string) {
  return constraint === "registered_limit_once"
    ? conflict("registered_limit", "Duplicate entry for service, region and resource name")
    : forbidden(
        "Unable to update or delete registered limit because there are project limits associated with it.",
      )
}

async function checkParties(tx: Tx, serviceId: string | undefined, regionId: string | null | undefined) {
  if (serviceId !== undefined && !(await find(tx, serviceNoun, serviceId)))
    throw invalid("service_id", `Could not find service: ${serviceId}.`)
  if (regionId && !(await find(tx, regionNoun, regionId)))
    throw invalid("region_id", `Could not find region: ${regionId}.`)
}

export const createRegisteredLimits = operation({
  name: "identity.registered_limit.create",
  input: Type.Object({
    limits: Type.Array(
      Type.Object({
        serviceId: Type.String(),
        regionId: Type.Optional(Text),
        resourceName: ResourceName,
        defaultLimit: LimitValue,
        description: Type.Optional(Text),
      }),
    ),
  }),
  faults: [conflict],
  rule: "identity:create_registered_limits",
  run: async (ctx, { limits }): Promise<RegisteredLimitRow[]> =>
    await changeOrConflict(ctx, explain, async (tx) => {
      for (const limit of limits) await checkParties(tx, limit.serviceId, limit.regionId)
      const made = await tx
        .insertInto("identity.registered_limit")
        .values(
          limits.map((limit) => ({
            id: newHexId(),
            service_id: limit.serviceId,
            region_id: limit.regionId ?? null,
            resource_name: limit.resourceName,
            default_limit: limit.defaultLimit,
            description: limit.description ?? null,
          })),
        )
        .returningAll()
        .execute()
      for (const { id } of made) await announce(ctx, tx, "registered_limit", "created", id)
      return made
    }),
})

/** Anyone with a token may know the defaults. */
export const getRegisteredLimit = operation({
  name: "identity.registered_limit.get",
  input: Id,
  faults: [notFound],
  load: (ctx, { id }) => findRegisteredLimit(ctx.db, id),
  rule: "identity:get_registered_limit",
  run: async (_ctx, { id }, row) => found(row, "registered limit", id),
})

export const listRegisteredLimits = operation({
  name: "identity.registered_limit.list",
  input: ListInput,
  rule: "identity:list_registered_limits",
  run: async (ctx, input): Promise<Rows<RegisteredLimitRow>> =>
    await listRows(ctx, registeredLimitList, input),
})

export const updateRegisteredLimit = operation({
  name: "identity.registered_limit.update",
  input: Type.Object({
    id: Type.String(),
    serviceId: Type.Optional(Type.String()),
    regionId: Type.Optional(Text),
    resourceName: Type.Optional(ResourceName),
    defaultLimit: Type.Optional(LimitValue),
    description: Type.Optional(Text),
  }),
  faults: [notFound, conflict, forbidden],
  load: (ctx, { id }) => findRegisteredLimit(ctx.db, id),
  rule: "identity:update_registered_limit",
  run: async (ctx, input, row): Promise<RegisteredLimitRow> => {
    const before = found(row, "registered limit", input.id)
    return await changeOrConflict(ctx, explain, async (tx) => {
      await checkParties(tx, input.serviceId, input.regionId)
      const isMoved =
        input.serviceId !== undefined || input.regionId !== undefined || input.resourceName !== undefined
      const used = await tx
        .selectFrom("identity.limit")
        .select("id")
        .where("registered_limit_id", "=", input.id)
        .executeTakeFirst()
      if (isMoved && used) throw explain("in use")
      const after = await tx
        .updateTable("identity.registered_limit")
        .set({
          service_id: input.serviceId ?? before.service_id,
          region_id: input.regionId === undefined ? before.region_id : input.regionId,
          resource_name: input.resourceName ?? before.resource_name,
          default_limit: input.defaultLimit ?? before.default_limit,
          description: input.description === undefined ? before.description : input.description,
        })
        .where("id", "=", input.id)
        .returningAll()
        .executeTakeFirst()
      await announce(ctx, tx, "registered_limit", "updated", input.id)
      return found(after, "registered limit", input.id)
    })
  },
})

export const deleteRegisteredLimit = operation({
  name: "identity.registered_limit.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: (ctx, { id }) => findRegisteredLimit(ctx.db, id),
  rule: "identity:delete_registered_limit",
  run: async (ctx, { id }, row) => {
    found(row, "registered limit", id)
    await changeOrConflict(ctx, explain, async (tx) => {
      await tx.deleteFrom("identity.registered_limit").where("id", "=", id).execute()
      await announce(ctx, tx, "registered_limit", "deleted", id)
    })
  },
})
