// The epoch of the cloud: which life of the database it is (ADR 18). Changes only while no process of the cloud runs.
import { sql } from "kysely"
import type { DbOrTx } from "../db/database.ts"

export interface CloudEpoch {
  /** Higher than in every earlier life. */
  readonly number: number
  /** Random. */
  readonly id: string
}

export async function readEpoch(db: DbOrTx): Promise<CloudEpoch> {
  const { rows } = await sql<CloudEpoch>`select epoch as number, epoch_id as id from platform.cloud`.execute(
    db,
  )
  const [epoch] = rows
  if (!epoch) throw new Error("the row of platform.cloud is missing")
  return epoch
}
