import { sql } from "kysely"
import type { DbOrTx } from "../../platform/db/database.ts"
import { countedSizes } from "../server/store.ts"
import { type QuotaLimits, quotaResources } from "./resources.ts"

/**
 * What a project uses, or one user in it. Key pairs and group members are limits of a user and of a group: a
 * project has no use of them, as in Nova.
 */
export async function countQuotaUsage(
  db: DbOrTx,
  projectId: string,
  userId: string | null = null,
): Promise<QuotaLimits> {
  const ofUser = userId === null ? sql`` : sql`and user_id = ${userId}`
  const found = await sql<{ instances: number; cores: number; ram: number; server_groups: number }>`
    select count(*) as instances, ${countedSizes},
      (select count(*) from compute.server_group where project_id = ${projectId} ${ofUser}) as server_groups
    from compute.server where project_id = ${projectId} and deleted_at is null ${ofUser}`.execute(db)
  const none = Object.fromEntries(quotaResources.map((resource) => [resource, 0])) as QuotaLimits
  return { ...none, ...found.rows[0] }
}
