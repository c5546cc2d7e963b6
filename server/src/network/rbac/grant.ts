import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"

export type SharedObjectType =
  | "network"
  | "security_group"
  | "address_scope"
  | "subnetpool"
  | "address_group"
  | "qos_policy"

export interface Grant {
  projectId: string
  objectType: SharedObjectType
  objectId: string
  action: "access_as_shared" | "access_as_external"
  /** Absent: every project. */
  target?: string
}

export async function grantAccess(tx: Tx, grant: Grant): Promise<void> {
  await sql`insert into network.rbac_policy (id, project_id, object_type, object_id, action, target_project)
    values (${newUuid()}, ${grant.projectId}, ${grant.objectType}, ${grant.objectId}, ${grant.action},
      ${grant.target ?? "*"})
    on conflict do nothing`.execute(tx)
}

export async function revokeAccess(tx: Tx, grant: Grant): Promise<void> {
  await sql`delete from network.rbac_policy where object_type = ${grant.objectType}
    and object_id = ${grant.objectId} and action = ${grant.action} and target_project = ${grant.target ?? "*"}`.execute(
    tx,
  )
}
