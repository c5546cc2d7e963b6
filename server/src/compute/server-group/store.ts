import { type RawBuilder, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import type { GroupPlacement, GroupPolicy, ServerGroup } from "./server-group.ts"
import type {} from "./tables.ts"

const groups = (rest: RawBuilder<unknown>) => sql<ServerGroup>`
  select g.id, g.project_id as "projectId", g.user_id as "userId", g.name, g.policy,
    g.max_servers_per_host as "maxServersPerHost", g.created_at as "createdAt",
    array(select s.id from compute.server s where s.server_group_id = g.id and s.deleted_at is null
      order by s.number) as "memberIds"
  from compute.server_group g ${rest}`

/** null: of every project. */
export async function selectServerGroups(
  db: DbOrTx,
  projectId: string | null,
  page: { limit: number; offset: number },
): Promise<ServerGroup[]> {
  const where = projectId === null ? sql`` : sql`where g.project_id = ${projectId}`
  const found = groups(sql`${where} order by g.created_at, g.id limit ${page.limit} offset ${page.offset}`)
  return (await found.execute(db)).rows
}

/** The group, whoever asks. */
export async function findServerGroup(db: DbOrTx, id: string): Promise<ServerGroup | undefined> {
  if (!isUuid(id)) return undefined
  return (await groups(sql`where g.id = ${id}`).execute(db)).rows[0]
}

export async function insertServerGroup(
  tx: Tx,
  group: Omit<ServerGroup, "id" | "memberIds">,
): Promise<ServerGroup> {
  const id = newUuid()
  await tx
    .insertInto("compute.server_group")
    .values({
      id,
      project_id: group.projectId,
      user_id: group.userId,
      name: group.name,
      policy: group.policy,
      max_servers_per_host: group.maxServersPerHost,
      created_at: group.createdAt,
    })
    .execute()
  return { ...group, id, memberIds: [] }
}

/** False when it is gone already. Its servers live on without a group. */
export async function deleteServerGroupRow(tx: Tx, id: string): Promise<boolean> {
  // The group first: who puts a server into it holds the row until that server can be seen here.
  const done = await tx.deleteFrom("compute.server_group").where("id", "=", id).executeTakeFirst()
  await sql`update compute.server set server_group_id = null
    where server_group_id = ${id} and deleted_at is null`.execute(tx)
  return done.numDeletedRows > 0n
}

/** Holds the group until the transaction ends, so that it is not deleted under a new member. */
export async function holdServerGroup(tx: Tx, id: string): Promise<boolean> {
  const held = await sql`select id from compute.server_group where id = ${id} for key share`.execute(tx)
  return held.rows.length > 0
}

/**
 * Where the members of the group are, but for one server. Holds the group until the transaction ends: two of its
 * servers that look for a host at the same time would otherwise not see each other.
 */
export async function selectGroupPlacement(
  tx: Tx,
  id: string,
  serverId: string,
): Promise<GroupPlacement | null> {
  const held = await sql<{ policy: GroupPolicy; max: number | null }>`
    select policy, max_servers_per_host as max from compute.server_group where id = ${id} for no key update`.execute(
    tx,
  )
  const group = held.rows[0]
  if (!group) return null
  const found = await sql<{ host: string; n: number }>`
    select host, count(*) as n from compute.server
    where server_group_id = ${id} and deleted_at is null and host is not null and id <> ${serverId}
    group by host`.execute(tx)
  return {
    policy: group.policy,
    members: new Map(found.rows.map((row) => [row.host, row.n])),
    maxPerHost: group.max ?? 1,
  }
}
