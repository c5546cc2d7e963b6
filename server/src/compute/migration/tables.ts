import type { ColumnType, Generated } from "kysely"

export interface MigrationTable {
  number: Generated<number>
  id: string
  server_id: string
  project_id: string
  user_id: string
  generation: number
  type: string
  status: string
  source_host: string
  dest_host: string
  old_flavor_number: number
  new_flavor_number: number
  created_at: ColumnType<Date, Date | undefined, Date>
  updated_at: Date | null
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.migration": MigrationTable
  }
}
