import type { ColumnType, Generated } from "kysely"

export interface KeypairTable {
  id: Generated<number>
  user_id: string
  name: string
  type: string
  public_key: string
  fingerprint: string
  created_at: ColumnType<Date, Date | undefined, Date>
}

declare module "../../platform/db/database.ts" {
  interface Database {
    "compute.keypair": KeypairTable
  }
}
