import type { ColumnType } from "kysely"

export interface UserQuotaTable {
  project_id: string
  user_id: string
  resource: string
  value: number
  updated_at: ColumnType<Date, Date, Date>
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.user_quota": UserQuotaTable
  }
}
