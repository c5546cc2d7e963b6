// SQL of os-instance-actions: what users did to a server, and how each part of it went.
import { type Selectable, sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"
import { changedBetween } from "../changes.ts"
import type { ServerActionEventTable, ServerActionTable } from "../tables.ts"

export interface ServerAction {
  id: number
  serverId: string
  action: string
  requestId: string
  userId: string | null
  projectId: string | null
  message: string | null
  startedAt: Date
  finishedAt: Date | null
  updatedAt: Date
}

export interface ServerActionEvent {
  event: string
  host: string | null
  startedAt: Date
  finishedAt: Date | null
  result: string | null
  details: string | null
  traceback: string | null
}

function actionOf(row: Selectable<ServerActionTable>): ServerAction {
  return {
    id: row.id,
    serverId: row.server_id,
    action: row.action,
    requestId: row.request_id,
    userId: row.user_id,
    projectId: row.project_id,
    message: row.message,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    updatedAt: row.updated_at,
  }
}

function eventOf(row: Selectable<ServerActionEventTable>): ServerActionEvent {
  return {
    event: row.event,
    host: row.host,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    result: row.result,
    details: row.details,
    traceback: row.traceback,
  }
}

export interface NewServerAction {
  serverId: string
  action: string
  requestId: string
  userId: string
  projectId: string | null
}

export async function recordActions(tx: Tx, actions: readonly NewServerAction[]): Promise<void> {
  if (actions.length === 0) return
  const column = (key: keyof NewServerAction) => actions.map((action) => action[key])
  await sql`
    insert into compute.server_action (server_id, action, request_id, user_id, project_id)
    select * from unnest(${column("serverId")}::uuid[], ${column("action")}::text[], ${column("requestId")}::text[],
      ${column("userId")}::text[], ${column("projectId")}::text[])
    on conflict (server_id, request_id, action) do nothing`.execute(tx)
}

export interface ActionEnd {
  serverId: string
  requestId: string
  /** `compute_start_instance`, as Nova names the part that works on the host. */
  event: string
  host: string | null
  /** For users; null when it went well. */
  error: string | null
}

/** Ends the newest action of this request: its event and, when it failed, the message. Repeatable. */
export async function endAction(tx: DbOrTx, end: ActionEnd): Promise<void> {
  const message = end.error === null ? null : "Error"
  await sql`
    with done as (
      update compute.server_action set finished_at = now(), updated_at = now(), message = ${message}
      where id = (
        select id from compute.server_action where server_id = ${end.serverId} and request_id = ${end.requestId}
        order by id desc limit 1
      ) returning id, started_at
    )
    insert into compute.server_action_event (action_id, event, host, started_at, finished_at, result, details)
    select id, ${end.event}, ${end.host}, started_at, now(),
      ${end.error === null ? "Success" : "Error"}, ${end.error} from done
    on conflict (action_id, event) do update
      set finished_at = excluded.finished_at, result = excluded.result, details = excluded.details,
          host = excluded.host`.execute(tx)
}

export interface ActionFilter {
  changesSince?: Date | undefined
  changesBefore?: Date | undefined
  limit?: number | null
  /** Request id after which the page starts. */
  marker?: string | null
}

/** Newest first. Undefined for an unknown marker. */
export async function selectActions(
  db: DbOrTx,
  serverId: string,
  filter: ActionFilter,
): Promise<ServerAction[] | undefined> {
  let after: ServerAction | undefined
  if (filter.marker) {
    after = await selectAction(db, serverId, filter.marker)
    if (!after) return undefined
  }
  const rows = await db
    .selectFrom("compute.server_action")
    .selectAll()
    .where("server_id", "=", serverId)
    .where((eb) => eb.and(changedBetween(sql`updated_at`, filter)))
    .$if(after !== undefined, (q) =>
      q.where(sql<boolean>`(started_at, id) < (${after?.startedAt}, ${after?.id})`),
    )
    .orderBy("started_at", "desc")
    .orderBy("id", "desc")
    .$if(typeof filter.limit === "number", (q) => q.limit(filter.limit ?? 0))
    .execute()
  return rows.map(actionOf)
}

export async function selectAction(
  db: DbOrTx,
  serverId: string,
  requestId: string,
): Promise<ServerAction | undefined> {
  const row = await db
    .selectFrom("compute.server_action")
    .selectAll()
    .where("server_id", "=", serverId)
    .where("request_id", "=", requestId)
    .orderBy("id", "desc")
    .executeTakeFirst()
  return row && actionOf(row)
}

export async function selectActionEvents(db: DbOrTx, actionId: number): Promise<ServerActionEvent[]> {
  const rows = await db
    .selectFrom("compute.server_action_event")
    .selectAll()
    .where("action_id", "=", actionId)
    .orderBy("started_at", "desc")
    .orderBy("id", "desc")
    .execute()
  return rows.map(eventOf)
}
