import { sql } from "kysely"
import { Type } from "typebox"
import { operation } from "../../platform/operation/operation.ts"
import { isAdmin } from "../viewer.ts"

export interface VolumeSummary {
  count: number
  sizeGib: number
  /** Key → every value that a volume has for it. */
  metadata: Record<string, string[]>
}

/** The caller's volumes, added up; of all projects for administrators who ask for that. */
export const summarizeVolumes = operation({
  name: "block_storage.volume.summarize",
  input: Type.Object({ isOfAllProjects: Type.Boolean() }),
  rule: "volume:get_all",
  target: (ctx) => ({ project_id: ctx.caller.projectId }),
  run: async (ctx, { isOfAllProjects }): Promise<VolumeSummary> => {
    const isOfAll = isOfAllProjects && isAdmin(ctx)
    const own = isOfAll ? sql`true` : sql`project_id = ${ctx.caller.projectId}`
    const { rows } = await sql<VolumeSummary>`select
        (select count(*)::int from block_storage.volume where ${own}) as count,
        (select coalesce(sum(size_gib), 0)::bigint from block_storage.volume where ${own}) as "sizeGib",
        (select coalesce(jsonb_object_agg(key, given), '{}') from (
          select m.key, jsonb_agg(distinct m.value) as given
          from block_storage.volume v, jsonb_each_text(v.metadata) m where ${own} group by m.key) keys) as metadata`.execute(
      ctx.db,
    )
    const [row] = rows
    return { count: row?.count ?? 0, sizeGib: Number(row?.sizeGib ?? 0), metadata: row?.metadata ?? {} }
  },
})
