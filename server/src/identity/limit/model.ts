// How limits of domains and their projects bind each other. `flat`: not at all. `strict_two_level`: a project has
// no more than its domain, be it by a limit of its own or by the registered default.
import { sql } from "kysely"
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { forbidden } from "../faults.ts"

const descriptions = {
  flat: "Limit enforcement and validation does not take project hierarchy into consideration.",
  strict_two_level: "This model requires project hierarchy never exceeds a depth of two",
} as const

export const getLimitModel = operation({
  name: "identity.limit.get_model",
  input: Type.Object({}),
  rule: "identity:get_limit_model",
  run: async (ctx) => {
    const name = ctx.config.identity.unifiedLimitModel
    return { name, description: descriptions[name] }
  },
})

/** Throws when the limit, as it is in the transaction now, does not fit those above and below it. */
export async function checkTree(
  ctx: Ctx,
  tx: Tx,
  limit: {
    registeredLimitId: string
    projectId: string | null
    domainId: string | null
    resourceLimit: number
  },
): Promise<void> {
  if (ctx.config.identity.unifiedLimitModel === "flat") return
  const value = asNumber(limit.resourceLimit)
  if (limit.projectId) {
    const above = await sql<{ value: number }>`
      select coalesce((select l.resource_limit from identity."limit" l
          where l.registered_limit_id = g.id and l.domain_id = p.domain_id), g.default_limit) as value
      from identity.registered_limit g, identity.project p
      where g.id = ${limit.registeredLimitId} and p.id = ${limit.projectId}`.execute(tx)
    if (above.rows.some((row) => value > asNumber(row.value))) throw unfit("bigger than that of its domain")
    return
  }
  const below = await sql<{ value: number }>`select l.resource_limit as value from identity."limit" l
    join identity.project p on p.id = l.project_id
    where l.registered_limit_id = ${limit.registeredLimitId} and p.domain_id = ${limit.domainId}`.execute(tx)
  if (below.rows.some((row) => asNumber(row.value) > value))
    throw unfit("smaller than that of a project in it")
}

/** -1 is unlimited. */
function asNumber(limit: number): number {
  return limit < 0 ? Number.POSITIVE_INFINITY : limit
}

function unfit(why: string) {
  return forbidden(`Invalid resource limit: it doesn't satisfy current hierarchy model: it is ${why}.`)
}
