import { sql } from "kysely"
import { Type } from "typebox"
import { findThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { poolNotFound } from "../faults.ts"
import { poolNoun } from "./pool.ts"

const nobody = undefined as never

export const setPoolUse = operation({
  name: "block_storage.pool.set_use",
  input: Type.Object({
    /** `host@backend` */
    id: Type.String(),
    isDisabled: Type.Boolean(),
    reason: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
  }),
  faults: [poolNotFound],
  rule: "volume_extension:services:update",
  run: async (ctx, { id, isDisabled, reason }) => {
    const name = id.replace(/#.*$/, "")
    const { numAffectedRows } = await sql`update block_storage.pool
      set is_disabled = ${isDisabled}, disabled_reason = ${isDisabled ? reason : null}
      where name = ${name}`.execute(ctx.db)
    if (numAffectedRows === 0n) throw poolNotFound(id)
  },
})

export interface PoolUse {
  volumes: number
  volumesGib: number
  snapshots: number
  snapshotsGib: number
}

/** What lies on a host's back end, for `os-hosts`. */
export const showHostUse = operation({
  name: "block_storage.pool.get_use",
  input: Type.Object({ id: Type.String() }),
  faults: [poolNotFound],
  rule: "volume_extension:hosts",
  run: async (ctx, { id }): Promise<(PoolUse & { projectId: string })[]> => {
    const pool = await findThing(ctx.db, poolNoun, nobody, id.replace(/#.*$/, ""))
    if (!pool) throw poolNotFound(id)
    const { rows } = await sql<PoolUse & { projectId: string }>`
      select project_id as "projectId", coalesce(sum(volumes), 0)::int as volumes,
        coalesce(sum(volumes_gib), 0)::int as "volumesGib", coalesce(sum(snapshots), 0)::int as snapshots,
        coalesce(sum(snapshots_gib), 0)::int as "snapshotsGib"
      from (select project_id, 1 as volumes, size_gib as volumes_gib, 0 as snapshots, 0 as snapshots_gib
          from block_storage.volume where host = ${pool.host} and backend = ${pool.backend}
        union all select project_id, 0, 0, 1, size_gib
          from block_storage.snapshot where host = ${pool.host} and backend = ${pool.backend}) used
      group by project_id order by project_id`.execute(ctx.db)
    return rows
  },
})
