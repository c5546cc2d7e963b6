// What operators see of back ends.
import { sql } from "kysely"
import { Type } from "typebox"
import { findThing, ListQuery } from "../../platform/noun/list.ts"
import { listPage } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { poolNotFound } from "../faults.ts"
import { isPoolUp, type Pool, poolNoun } from "./pool.ts"

const nobody = undefined as never

const listOf = (name: string, rule: string) =>
  operation({
    name: `block_storage.pool.${name}`,
    input: ListQuery,
    faults: [poolNotFound],
    rule,
    run: async (ctx, query) => {
      const { listLimitMost, poolDownAfterMs } = ctx.config.blockStorage
      const { items, read } = await listPage(ctx.db, poolNoun, nobody, query, listLimitMost)
      const now = ctx.clock.now()
      return { items: items.map((pool) => ({ ...pool, isUp: isPoolUp(pool, now, poolDownAfterMs) })), read }
    },
  })

export type SeenPool = Pool & { isUp: boolean }

export const listPools = listOf("list", "scheduler_extension:scheduler_stats:get_pools")
/** The same as services of the cloud. */
export const listServices = listOf("list_services", "volume_extension:services:index")

export const listHosts = listOf("list_hosts", "volume_extension:hosts")

export const getPoolCapabilities = operation({
  name: "block_storage.pool.get_capabilities",
  input: Type.Object({ id: Type.String() }),
  faults: [poolNotFound],
  rule: "volume_extension:capabilities",
  run: async (ctx, { id }) => {
    const pool = await findThing(ctx.db, poolNoun, nobody, id.replace(/#.*$/, ""))
    if (!pool) throw poolNotFound(id)
    return pool
  },
})

/** The one zone; available while a back end takes volumes. */
export const listZones = operation({
  name: "block_storage.availability_zone.list",
  input: Type.Object({}),
  rule: "volume_extension:availability_zone_list",
  run: async (ctx) => {
    const { availabilityZone, poolDownAfterMs } = ctx.config.blockStorage
    const since = new Date(ctx.clock.now().getTime() - poolDownAfterMs)
    const { rows } = await sql<{ isAvailable: boolean }>`select exists (select from block_storage.pool
      where not is_disabled and reported_at > ${since}) as "isAvailable"`.execute(ctx.db)
    return [{ name: availabilityZone, isAvailable: rows[0]?.isAvailable ?? false }]
  },
})
