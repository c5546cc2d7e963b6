import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { mixedStatefulness, securityGroupNotFound } from "../faults.ts"
import { ensureDefaultGroup } from "./default-group.ts"

/** The groups of a port: those named (all must be the project's or shared with it), else the default one. */
export async function checkedGroups(
  tx: Tx,
  projectId: string,
  groupIds: readonly string[] | undefined,
  plan: { wantsDefaultGroup: boolean },
  isAnyProject: boolean,
): Promise<string[]> {
  if (groupIds === undefined) return plan.wantsDefaultGroup ? [await ensureDefaultGroup(tx, projectId)] : []
  if (groupIds.length === 0) return []
  const { rows } = await sql<{ id: string; isStateful: boolean }>`
    select g.id, g.is_stateful as "isStateful" from network.security_group g
    where g.id = any(${groupIds.filter(isUuid)}::uuid[]) and (${isAnyProject} or g.project_id = ${projectId}
      or exists (select from network.rbac_policy r where r.object_id = g.id and r.object_type = 'security_group'
        and r.target_project in ('*', ${projectId})))
    for share`.execute(tx)
  const known = new Set(rows.map((row) => row.id))
  const missing = groupIds.find((id) => !known.has(id.toLowerCase()))
  if (missing !== undefined) throw securityGroupNotFound(missing)
  checkStateful(rows)
  return [...known]
}

/** The engine tracks a port's connections or does not: one port cannot have both. */
export function checkStateful(groups: readonly { isStateful: boolean }[]): void {
  if (new Set(groups.map((group) => group.isStateful)).size > 1) throw mixedStatefulness()
}

/** Groups of the project by name or id, as compute's requests name them. */
export async function groupsByNameOrId(
  db: DbOrTx,
  projectId: string,
  names: readonly string[],
): Promise<{ id: string; name: string }[]> {
  if (names.length === 0) return []
  const { rows } = await sql<{ id: string; name: string }>`select g.id, g.name from network.security_group g
    where (g.project_id = ${projectId} or exists (select from network.rbac_policy r where r.object_id = g.id
        and r.object_type = 'security_group' and r.target_project in ('*', ${projectId})))
      and (g.name = any(${names}::text[]) or g.id = any(${names.filter(isUuid)}::uuid[]))
    order by g.created_at, g.id`.execute(db)
  return rows
}
