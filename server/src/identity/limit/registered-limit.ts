// The default of each resource that services ask about, in the whole cloud or in one region.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Tx } from "../../platform/db/database.ts"
import { invalid } from "../../platform/fault/fault.ts"
import { newHexId } from "../../platform/ids/ids.ts"
import { columnsOf, field, nullable, text } from "../../platform/noun/field.ts"
import { insertThing, updateThing } from "../../platform/noun/list.ts"
import { noun, type Thing, visibleToAll } from "../../platform/noun/noun.ts"
import { getOf, listOf } from "../../platform/noun/verbs.ts"
import { operation } from "../../platform/operation/operation.ts"
import { regionNoun } from "../catalog/region.ts"
import { serviceNoun } from "../catalog/service.ts"
import { announce, changeOrConflict } from "../change.ts"
import { conflict, forbidden, found, missingOf, notFound } from "../faults.ts"
import { asListed, everyone, find, idField, ruleFirst, sorts, textField } from "../read.ts"
import { Id, ResourceName } from "../shapes.ts"

export const LimitValue = Type.Integer({ minimum: -1, maximum: 0x7fff_ffff })

const given = { create: "required", update: true } as const

export const registeredLimitNoun = noun({
  name: "identity.registered_limit",
  table: sql`identity.registered_limit`,
  alias: "g",
  fields: {
    id: idField("g"),
    serviceId: text(sql`g.service_id`, { ...given, filter: true }),
    regionId: nullable(text(sql`g.region_id`, { create: true, update: true, filter: true })),
    resourceName: field("text", ResourceName, sql`g.resource_name`, { ...given, filter: true }),
    defaultLimit: field("integer", LimitValue, sql`g.default_limit`, given),
    description: textField(sql`g.description`),
  },
  order: sorts.byId,
  visible: () => visibleToAll,
  ...missingOf("registered limit"),
})

export type RegisteredLimit = Thing<typeof registeredLimitNoun>

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
  input: Type.Object({ limits: Type.Array(registeredLimitNoun.create) }),
  faults: [conflict],
  rule: "identity:create_registered_limits",
  run: async (ctx, { limits }): Promise<RegisteredLimit[]> =>
    await changeOrConflict(ctx, explain, async (tx) => {
      for (const { serviceId, regionId } of limits) await checkParties(tx, serviceId, regionId)
      const made: RegisteredLimit[] = []
      for (const limit of limits) {
        const values = columnsOf({ ...limit, id: newHexId() })
        const one = await insertThing(tx, registeredLimitNoun, everyone, { values })
        if (!one) throw explain("registered_limit_once")
        made.push(one)
      }
      for (const { id } of made) await announce(ctx, tx, "registered_limit", "created", id)
      return made
    }),
})

/** Anyone with a token may know the defaults. */
export const getRegisteredLimit = getOf(registeredLimitNoun, {
  ...ruleFirst,
  rule: "identity:get_registered_limit",
})
export const listRegisteredLimits = listOf(registeredLimitNoun, {
  ...asListed,
  rule: "identity:list_registered_limits",
})

export const updateRegisteredLimit = operation({
  name: "identity.registered_limit.update",
  input: Type.Object({ id: Type.String(), changes: registeredLimitNoun.changes }),
  faults: [notFound, conflict, forbidden],
  load: (ctx, { id }) => find(ctx.db, registeredLimitNoun, id),
  rule: "identity:update_registered_limit",
  run: async (ctx, { id, changes }, limit): Promise<RegisteredLimit> => {
    found(limit, "registered limit", id)
    return await changeOrConflict(ctx, explain, async (tx) => {
      const { serviceId, regionId, resourceName } = changes
      await checkParties(tx, serviceId, regionId)
      const used = await tx
        .selectFrom("identity.limit")
        .select("id")
        .where("registered_limit_id", "=", id)
        .executeTakeFirst()
      const isMoved = serviceId !== undefined || regionId !== undefined || resourceName !== undefined
      if (isMoved && used) throw explain("in use")
      const after = await updateThing(tx, registeredLimitNoun, everyone, id, columnsOf(changes))
      await announce(ctx, tx, "registered_limit", "updated", id)
      return found(after, "registered limit", id)
    })
  },
})

export const deleteRegisteredLimit = operation({
  name: "identity.registered_limit.delete",
  input: Id,
  faults: [notFound, forbidden],
  load: (ctx, { id }) => find(ctx.db, registeredLimitNoun, id),
  rule: "identity:delete_registered_limit",
  run: async (ctx, { id }, row) => {
    found(row, "registered limit", id)
    await changeOrConflict(ctx, explain, async (tx) => {
      await tx.deleteFrom("identity.registered_limit").where("id", "=", id).execute()
      await announce(ctx, tx, "registered_limit", "deleted", id)
    })
  },
})
