// How actions are written down, for all that is done to servers.
import { sql } from "kysely"
import type { Tx } from "../../platform/db/database.ts"
import { type Gathered, gather, hasGathered, writeGathered } from "../../platform/db/gather.ts"

export interface NewServerAction {
  serverId: string
  action: string
  requestId: string
  userId: string
  projectId: string | null
}

const newActions: Gathered<NewServerAction> = {
  write: (actions) => {
    const column = (key: keyof NewServerAction) => actions.map((action) => action[key])
    return {
      server_actions: sql`
        insert into compute.server_action (server_id, action, request_id, user_id, project_id)
        select * from unnest(${column("serverId")}::uuid[], ${column("action")}::text[], ${column("requestId")}::text[],
          ${column("userId")}::text[], ${column("projectId")}::text[])
        on conflict (server_id, request_id, action) do nothing`,
    }
  },
}

export async function recordActions(tx: Tx, actions: readonly NewServerAction[]): Promise<void> {
  if (actions.length > 0) gather(tx, newActions, actions)
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

const endedActions: Gathered<ActionEnd> = {
  write: (ends) => ({
    server_actions_ended: sql`
      update compute.server_action a set finished_at = now(), updated_at = now(),
        message = case when e.error is not null then 'Error' end
      from jsonb_to_recordset(${JSON.stringify(ends)}::jsonb)
        as e ("serverId" uuid, "requestId" text, event text, host text, error text)
      where a.id = (
        select id from compute.server_action where server_id = e."serverId" and request_id = e."requestId"
        order by id desc limit 1
      ) returning a.id, a.started_at, e.event, e.host, e.error`,
    server_action_events: sql`
      insert into compute.server_action_event (action_id, event, host, started_at, finished_at, result, details)
      select id, event, host, started_at, now(), case when error is null then 'Success' else 'Error' end, error
      from server_actions_ended
      on conflict (action_id, event) do update
        set finished_at = excluded.finished_at, result = excluded.result, details = excluded.details,
            host = excluded.host`,
  }),
}

/** Ends the newest action of this request: its event and, when it failed, the message. Repeatable. */
export async function endAction(tx: Tx, end: ActionEnd): Promise<void> {
  // What the transaction itself has recorded must be there to be ended.
  if (hasGathered(tx, newActions)) await writeGathered(tx)
  gather(tx, endedActions, [end])
}
