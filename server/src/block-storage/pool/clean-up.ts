// Cinder's call for what services have left half done. Here sagas go on by themselves: whoever asks makes those that
// wait look again at once, and learns which back ends they can go on with and which they wait for.
import { sql } from "kysely"
import { Type } from "typebox"
import type { DbOrTx } from "../../platform/db/database.ts"
import { listPage } from "../../platform/noun/page.ts"
import { operation } from "../../platform/operation/operation.ts"
import { nullable } from "../../platform/schema/make.ts"
import { inputInvalid } from "../faults.ts"
import { isPoolUp, poolNoun } from "./pool.ts"
import type { SeenPool } from "./read.ts"

export const cleanUp = operation({
  name: "block_storage.pool.clean_up",
  input: Type.Object({
    /** `host` or `host@backend`; null: all. */
    host: nullable(Type.String({ maxLength: 511 })),
    isUp: Type.Boolean(),
    isDisabled: nullable(Type.Boolean()),
    /** A volume or a snapshot: only where it lies. */
    resourceId: nullable(Type.String()),
  }),
  faults: [inputInvalid],
  rule: "workers:cleanup",
  run: async (ctx, { host, isUp, isDisabled, resourceId }): Promise<SeenPool[]> => {
    const { listLimitMost, poolDownAfterMs } = ctx.config.blockStorage
    const where = host ?? (resourceId === null ? "" : await placeOf(ctx.db, resourceId))
    const [name, backend] = where.replace(/#.*$/, "").split("@")
    const filters = { ...(name ? { host: [name] } : {}), ...(backend ? { backend: [backend] } : {}) }
    const { items } = await listPage(ctx.db, poolNoun, undefined as never, { filters }, listLimitMost)
    await ctx.sagas.wake(ctx.db)
    const now = ctx.clock.now()
    return items
      .map((pool) => ({ ...pool, isUp: isPoolUp(pool, now, poolDownAfterMs) }))
      .filter((pool) => pool.isUp === isUp && (isDisabled === null || pool.isDisabled === isDisabled))
  },
})

async function placeOf(db: DbOrTx, id: string): Promise<string> {
  const { rows } = await sql<{ place: string }>`
    select host || '@' || backend as place from block_storage.volume where id = ${id} and host is not null
    union all select host || '@' || backend from block_storage.snapshot where id = ${id}`.execute(db)
  if (!rows[0]) throw inputInvalid(`There is no resource with UUID ${id} pending cleanup.`)
  return rows[0].place
}
