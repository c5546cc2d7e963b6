import type { ColumnType } from "kysely"

type CreatedAt = ColumnType<Date, Date | undefined, Date>

export interface QuotaLimit {
  project_id: string
  service: string
  resource: string
  value: number
  updated_at: CreatedAt
}

export interface QuotaClassLimit {
  class_name: string
  service: string
  resource: string
  value: number
  updated_at: CreatedAt
}

declare module "../platform/db/database.ts" {
  interface Database {
    "quota.limit": QuotaLimit
    "quota.class_limit": QuotaClassLimit
  }
}
