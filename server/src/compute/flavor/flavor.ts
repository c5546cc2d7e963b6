import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isAdmin } from "../admin.ts"
import { flavorNotFound } from "./faults.ts"
import type {} from "./tables.ts"

export interface Flavor {
  id: string
  /** What users call its id: text of their choice, or a UUID. */
  flavorId: string
  name: string
  description: string | null
  vcpus: number
  ramMib: number
  diskGib: number
  ephemeralGib: number
  swapMib: number
  rxtxFactor: number
  isPublic: boolean
  isDisabled: boolean
  extraSpecs: Record<string, string>
  createdAt: Date
  updatedAt: Date | null
}

interface FlavorRow {
  id: string
  flavor_id: string
  name: string
  description: string | null
  vcpus: number
  ram_mib: number
  disk_gib: number
  ephemeral_gib: number
  swap_mib: number
  rxtx_factor: number
  is_public: boolean
  is_disabled: boolean
  extra_specs: Record<string, string>
  created_at: Date
  updated_at: Date | null
}

export function flavorOf(row: FlavorRow): Flavor {
  return {
    id: row.id,
    flavorId: row.flavor_id,
    name: row.name,
    description: row.description,
    vcpus: row.vcpus,
    ramMib: row.ram_mib,
    diskGib: row.disk_gib,
    ephemeralGib: row.ephemeral_gib,
    swapMib: row.swap_mib,
    rxtxFactor: row.rxtx_factor,
    isPublic: row.is_public,
    isDisabled: row.is_disabled,
    extraSpecs: row.extra_specs,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }
}

/** By the id that users see. A private flavor is there only for its projects and for admins. */
export async function findFlavor(ctx: Ctx, flavorId: string): Promise<Flavor> {
  const row = await ctx.db
    .selectFrom("compute.flavor")
    .selectAll()
    .where("flavor_id", "=", flavorId)
    .where(visibleTo(ctx))
    .executeTakeFirst()
  if (!row) throw flavorNotFound(flavorId)
  return flavorOf(row)
}

/** Conjunct: what the caller may see. */
export function visibleTo(ctx: Ctx) {
  if (isAdmin(ctx)) return sql<boolean>`true`
  return sql<boolean>`(compute.flavor.is_public or exists (select from compute.flavor_access a
    where a.flavor_id = compute.flavor.id and a.project_id = ${ctx.caller.projectId}))`
}

export async function flavorProjects(db: DbOrTx, flavor: Flavor): Promise<string[]> {
  const rows = await db
    .selectFrom("compute.flavor_access")
    .select("project_id")
    .where("flavor_id", "=", flavor.id)
    .orderBy("project_id")
    .execute()
  return rows.map((row) => row.project_id)
}
