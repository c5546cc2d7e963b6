// Every project has a group named `default`, made when it is first needed.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Db, Tx } from "../../platform/db/database.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { change } from "../resource/standard.ts"
import { noteChanged } from "../sync/changes.ts"

export async function ensureDefaultGroup(tx: Tx, projectId: string): Promise<string> {
  const found = await findDefaultGroup(tx, projectId)
  if (found) return found
  const id = newUuid()
  const made = await sql<{ id: string }>`
    insert into network.security_group (id, project_id, name, description, is_default)
    values (${id}, ${projectId}, 'default', 'Default security group', true)
    on conflict do nothing returning id`.execute(tx)
  if (made.rows.length > 0) {
    await insertTemplateRules(tx, id, projectId, true)
    noteChanged(tx, { securityGroups: [id] })
    return id
  }
  // Another transaction made it and has committed: that is what "on conflict" waited for.
  const winner = await findDefaultGroup(tx, projectId)
  if (!winner) throw new Error(`project ${projectId} has no default security group after it was made`)
  return winner
}

async function findDefaultGroup(db: Db | Tx, projectId: string): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`select id from network.security_group
    where project_id = ${projectId} and is_default`.execute(db)
  return rows[0]?.id
}

/** For reads: makes the group when it is not there. */
export async function prepareDefaultGroup(ctx: Ctx, projectId: string | null): Promise<void> {
  if (projectId !== null) await defaultGroupOf(ctx, projectId)
}

/** The group's id; it is made in a transaction of its own when it is not there. */
export async function defaultGroupOf(ctx: Ctx, projectId: string): Promise<string> {
  const found = await findDefaultGroup(ctx.db, projectId)
  return found ?? (await change(ctx, (tx) => ensureDefaultGroup(tx, projectId)))
}

/** The rules that a new group begins with. */
export async function insertTemplateRules(
  tx: Tx,
  groupId: string,
  projectId: string,
  isDefault: boolean,
): Promise<void> {
  await sql`insert into network.security_group_rule
      (id, security_group_id, project_id, description, direction, ethertype, protocol, port_range_min, port_range_max,
       remote_ip_prefix, remote_group_id, remote_address_group_id)
    select gen_random_uuid(), ${groupId}::uuid, ${projectId}, t.description, t.direction, t.ethertype, t.protocol,
      t.port_range_min, t.port_range_max, t.remote_ip_prefix,
      case when t.remote_group_id = 'PARENT' then ${groupId}::uuid else t.remote_group_id::uuid end,
      t.remote_address_group_id
    from network.default_security_group_rule t
    where case when ${isDefault} then t.is_used_in_default_group else t.is_used_in_other_groups end
    order by t.created_at, t.id
    on conflict do nothing`.execute(tx)
}
