import type { ColumnType, Generated } from "kysely"

export interface AggregateTable {
  id: Generated<number>
  uuid: string
  name: string
  metadata: ColumnType<Record<string, string>, Record<string, string>, Record<string, string>>
  created_at: ColumnType<Date, Date, never>
  updated_at: Date | null
}

export interface AggregateHostTable {
  aggregate_id: number
  host: string
  added_at: ColumnType<Date, Date, never>
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.aggregate": AggregateTable
    "compute.aggregate_host": AggregateHostTable
  }
}
