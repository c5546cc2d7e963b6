import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import type { QuotaLimits } from "./resources.ts"
import type {} from "./tables.ts"

export interface QuotaOwner {
  projectId: string
  userId: string
}

/** What was set for the user itself; empty for nearly everybody. */
export async function selectUserLimits(db: DbOrTx, owner: QuotaOwner): Promise<Partial<QuotaLimits>> {
  const rows = await db
    .selectFrom("compute.user_quota")
    .select(["resource", "value"])
    .where("project_id", "=", owner.projectId)
    .where("user_id", "=", owner.userId)
    .execute()
  return Object.fromEntries(rows.map((row) => [row.resource, row.value]))
}

/** How much of a project's limits is given to users by name. */
export async function sumUserLimits(db: DbOrTx, projectId: string): Promise<Partial<QuotaLimits>> {
  const found = await sql<{ resource: string; total: number }>`
    select resource, sum(greatest(value, 0))::bigint as total from compute.user_quota
    where project_id = ${projectId} group by resource`.execute(db)
  return Object.fromEntries(found.rows.map((row) => [row.resource, row.total]))
}

export async function setUserLimits(
  tx: Tx,
  owner: QuotaOwner,
  limits: Partial<QuotaLimits>,
  at: Date,
): Promise<void> {
  for (const [resource, value] of Object.entries(limits)) {
    await tx
      .insertInto("compute.user_quota")
      .values({ project_id: owner.projectId, user_id: owner.userId, resource, value, updated_at: at })
      .onConflict((oc) => oc.constraint("user_quota_key").doUpdateSet({ value, updated_at: at }))
      .execute()
  }
}

/** null: of every user of the project. */
export async function deleteUserLimits(tx: Tx, projectId: string, userId: string | null): Promise<void> {
  await tx
    .deleteFrom("compute.user_quota")
    .where("project_id", "=", projectId)
    .$if(userId !== null, (q) => q.where("user_id", "=", userId ?? ""))
    .execute()
}
