import type { ColumnType, Generated } from "kysely"

type CreatedAt = ColumnType<Date, Date | undefined, Date>

export interface FlavorTable {
  id: string
  flavor_id: string
  name: string
  description: string | null
  vcpus: number
  ram_mib: number
  disk_gib: number
  ephemeral_gib: Generated<number>
  swap_mib: Generated<number>
  rxtx_factor: Generated<number>
  is_public: Generated<boolean>
  is_disabled: Generated<boolean>
  extra_specs: Generated<Record<string, string>>
  created_at: CreatedAt
  updated_at: Date | null
  number: Generated<number>
}

export interface FlavorAccessTable {
  flavor_id: string
  project_id: string
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.flavor": FlavorTable
    "compute.flavor_access": FlavorAccessTable
  }
}
