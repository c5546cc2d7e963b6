import { type RawBuilder, sql } from "kysely"
import type { Quota } from "../engine/quota.ts"
import type { Tx } from "../platform/db/database.ts"

/** One who asks at a time: for a project in a service, or for what its things are counted within. */
export function lockOf(...names: readonly string[]): RawBuilder<unknown> {
  return sql`pg_advisory_xact_lock(hashtextextended(${`quota:${names.join(":")}`}, 0))`
}

/** Serialises the quota decisions of one project in one service until the transaction ends. */
export async function lockProject(tx: Tx, { service }: Quota, projectId: string): Promise<void> {
  await sql`select ${lockOf(service, projectId)}`.execute(tx)
}
