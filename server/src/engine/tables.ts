import type { ColumnType, Generated } from "kysely"

type Timestamp = ColumnType<Date, Date | string, Date | string>

export interface SagaTable {
  id: string
  name: string
  version: number
  params: unknown
  state: string
  resource_id: string | null
  request_id: string
  fence: number
  owner: string | null
  lease_until: Timestamp | null
  run_at: Generated<Timestamp>
  attempts: Generated<number>
  failure: unknown
  last_error: string | null
  created_at: Generated<Timestamp>
  updated_at: Generated<Timestamp>
  ended_at: Timestamp | null
}

declare module "../platform/db/database.ts" {
  interface Database {
    "engine.saga": SagaTable
  }
}
