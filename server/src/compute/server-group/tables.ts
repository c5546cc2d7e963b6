import type { ColumnType } from "kysely"

export interface ServerGroupTable {
  id: string
  project_id: string
  user_id: string
  name: string
  policy: string
  max_servers_per_host: number | null
  created_at: ColumnType<Date, Date, never>
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.server_group": ServerGroupTable
  }
}
