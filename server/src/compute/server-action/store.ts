// How actions are written down, for all that is done to servers.
import { sql } from "kysely"
import type { DbOrTx, Tx } from "../../platform/db/database.ts"

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
