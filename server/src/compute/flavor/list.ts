import { sql } from "kysely"
import { Type } from "typebox"
import { pageClauses, type SortColumns } from "../../platform/db/page.ts"
import { invalid } from "../../platform/fault/fault.ts"
import type { Page } from "../../platform/http/paging.ts"
import { operation } from "../../platform/operation/operation.ts"
import { isAdmin } from "../admin.ts"
import { type Flavor, flavorOf, visibleTo } from "./flavor.ts"

/** Sort keys as Nova names them → columns. */
export const flavorSortColumns: SortColumns = {
  flavorid: { column: sql`compute.flavor.flavor_id` },
  name: { column: sql`compute.flavor.name` },
  memory_mb: { column: sql`compute.flavor.ram_mib` },
  vcpus: { column: sql`compute.flavor.vcpus` },
  root_gb: { column: sql`compute.flavor.disk_gib` },
  ephemeral_gb: { column: sql`compute.flavor.ephemeral_gib` },
  swap: { column: sql`compute.flavor.swap_mib` },
  rxtx_factor: { column: sql`compute.flavor.rxtx_factor` },
  is_public: { column: sql`compute.flavor.is_public` },
  disabled: { column: sql`compute.flavor.is_disabled` },
  id: { column: sql`compute.flavor.id` },
  created_at: { column: sql`compute.flavor.created_at` },
  updated_at: { column: sql`compute.flavor.updated_at`, isNullable: true },
}

const PageInput = Type.Unsafe<Page>(Type.Object({}))

export const listFlavors = operation({
  name: "compute.flavor.list",
  input: Type.Object({
    minRamMib: Type.Optional(Type.Integer()),
    minDiskGib: Type.Optional(Type.Integer()),
    /** null: public and private ones; only admins may ask for other than public. */
    isPublic: Type.Union([Type.Boolean(), Type.Null()]),
    page: PageInput,
  }),
  // Any authenticated caller may list what is visible to it, as in Nova.
  rules: "authenticated",
  run: async (ctx, input): Promise<Flavor[]> => {
    const marker = input.page.marker === null ? null : await markerRow(ctx, input.page.marker)
    const clauses = pageClauses(input.page, flavorSortColumns, "flavorid", marker)
    let query = ctx.db.selectFrom("compute.flavor").selectAll().where(visibleTo(ctx)).where(clauses.where)
    if (!isAdmin(ctx)) query = query.where("is_disabled", "=", false)
    if (input.isPublic !== null && isAdmin(ctx)) query = query.where("is_public", "=", input.isPublic)
    if (input.minRamMib !== undefined) query = query.where("ram_mib", ">=", input.minRamMib)
    if (input.minDiskGib !== undefined) query = query.where("disk_gib", ">=", input.minDiskGib)
    if (input.page.limit !== null) query = query.limit(input.page.limit)
    const rows = await query.orderBy(clauses.orderBy).execute()
    return rows.map(flavorOf)
  },
})

async function markerRow(
  ctx: Parameters<typeof visibleTo>[0],
  marker: string,
): Promise<Record<string, unknown>> {
  const row = await ctx.db
    .selectFrom("compute.flavor")
    .selectAll()
    .where("flavor_id", "=", marker)
    .where(visibleTo(ctx))
    .executeTakeFirst()
  if (!row) throw invalid("marker", `The marker ${marker} could not be found.`)
  return {
    flavorid: row.flavor_id,
    name: row.name,
    memory_mb: row.ram_mib,
    vcpus: row.vcpus,
    root_gb: row.disk_gib,
    ephemeral_gb: row.ephemeral_gib,
    swap: row.swap_mib,
    rxtx_factor: row.rxtx_factor,
    is_public: row.is_public,
    disabled: row.is_disabled,
    id: row.id,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }
}
