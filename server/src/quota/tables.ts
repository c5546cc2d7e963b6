import type { ColumnType, Generated } from "kysely"

type Timestamp = ColumnType<Date, Date | string, Date | string>

export interface QuotaLimit {
  project_id: string
  service: string
  resource: string
  value: number
  updated_at: Generated<Timestamp>
}

export interface QuotaClassLimit {
  class_name: string
  service: string
  resource: string
  value: number
  updated_at: Generated<Timestamp>
}

declare module "../platform/db/database.ts" {
  interface Database {
    "quota.limit": QuotaLimit
    "quota.class_limit": QuotaClassLimit
  }
}
