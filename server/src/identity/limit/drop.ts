import { type RawBuilder, sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { announce } from "../change.ts"

/** Registered limits go with the service or region that they name, and what projects have instead of them as well. */
export async function dropLimits(ctx: Ctx, tx: Tx, where: RawBuilder<unknown>): Promise<void> {
  await sql`delete from identity."limit" where registered_limit_id in (
    select id from identity.registered_limit where ${where})`.execute(tx)
  const gone = await sql<{ id: string }>`
    delete from identity.registered_limit where ${where} returning id`.execute(tx)
  for (const { id } of gone.rows) await announce(ctx, tx, "registered_limit", "deleted", id)
}
