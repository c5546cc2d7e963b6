// The SQL of the outbox.
//
// Ids are given before commits, so a reader who goes by them skips what commits late. So the publisher, alone by the
// lock on `outbox_published` in a short transaction, gives each event a position once it is visible, in the order of
// ids; readers go by that. Two events of one resource keep their order: the second one's writer held the lock on the resource's row,
// so the first was committed and had its id before.
import { sql } from "kysely"
import type { OutboxEvent } from "../../platform/context/durable.ts"
import type { Db, Tx } from "../../platform/db/database.ts"
import type { Gathered } from "../../platform/db/gather.ts"
import type { StoredEvent } from "./notification.ts"

export const newEvents: Gathered<OutboxEvent & { messageId: string }> = {
  write: (events) => ({
    outbox_events: sql`
      insert into engine.outbox_event
        (message_id, type, publisher, priority, project_id, user_id, request_id, resource_id, payload)
      select "messageId", type, publisher, coalesce(priority, 'INFO'), "projectId", "userId", "requestId", "resourceId",
        payload
      from jsonb_to_recordset(${JSON.stringify(events.map((event, index) => ({ ...event, index })))}::jsonb)
        as e ("messageId" uuid, type text, publisher text, priority text, "projectId" text, "userId" text,
          "requestId" text, "resourceId" text, payload jsonb, index int)
      order by index`,
  }),
}

/** The right to publish what comes after a position, until the lease is over. */
export interface Turn {
  /** Of the one who publishes; no two are alike. */
  owner: string
  fence: number
  position: number
}

/**
 * Null when there is nothing to publish, or another one has its turn; one's own that could not be ended is over. The
 * row is locked to the end of the transaction, and events are placed in the same one.
 */
export async function takeTurn(tx: Tx, owner: string, leaseMs: number): Promise<Turn | null> {
  // Without waiting for the disk, here and below: what a crash undoes is only published once more.
  const { rows } = await sql<Turn>`
    with free as (
      select from engine.outbox_published p
      where (lease_until is null or lease_until < clock_timestamp() or owner = ${owner})
        and (exists (select from engine.outbox_event where position is null)
          or exists (select from engine.outbox_event where position > p.position))
      for update of p skip locked
    )
    update engine.outbox_published set owner = ${owner}, fence = fence + 1, lease_until = ${leaseEnd(leaseMs)}
    from free
    returning owner, fence, position, set_config('synchronous_commit', 'off', true)
  `.execute(tx)
  return rows[0] ?? null
}

/** False when the turn is no longer ours. */
export async function renewTurn(db: Db, turn: Turn, leaseMs: number): Promise<boolean> {
  const { rows } = await sql`
    update engine.outbox_published set lease_until = ${leaseEnd(leaseMs)}
    where owner = ${turn.owner} and fence = ${turn.fence}
    returning set_config('synchronous_commit', 'off', true)
  `.execute(db)
  return rows.length > 0
}

/**
 * Ends the turn and says how far it came; false, with nothing changed, when it is no longer ours. The owner is asked
 * for beside the fence, as a crash of the database may undo a turn and another one then gets its fence.
 */
export async function endTurn(db: Db, turn: Turn, position: number): Promise<boolean> {
  const { rows } = await sql`
    update engine.outbox_published
    set position = ${position}, owner = null, lease_until = null, updated_at = now()
    where owner = ${turn.owner} and fence = ${turn.fence} and position = ${turn.position}
    returning set_config('synchronous_commit', 'off', true)
  `.execute(db)
  return rows.length > 0
}

function leaseEnd(leaseMs: number) {
  return sql`clock_timestamp() + make_interval(secs => ${leaseMs / 1000}::float8)`
}

/** Gives positions to the events that have none; returns how many. */
export async function placeEvents(tx: Tx, limit: number): Promise<number> {
  const { rows } = await sql`
    with fresh as (
      select id from engine.outbox_event where position is null order by id limit ${limit}
    ), placed as materialized (
      select id, nextval('engine.outbox_position_sequence') as position from (select id from fresh order by id) f
    )
    update engine.outbox_event e set position = placed.position from placed where e.id = placed.id returning e.id
  `.execute(tx)
  return rows.length
}

export async function readEvents(db: Db | Tx, after: number, limit: number): Promise<StoredEvent[]> {
  const { rows } = await sql<StoredEvent>`
    select position, message_id, type, publisher, priority, project_id, user_id, request_id, resource_id, payload,
      created_at
    from engine.outbox_event where position > ${after} order by position limit ${limit}
  `.execute(db)
  return rows
}

export async function lastPosition(db: Db): Promise<number> {
  const { rows } = await sql<{ position: number }>`
    select coalesce(max(position), 0) as position from engine.outbox_event
  `.execute(db)
  return rows[0]?.position ?? 0
}

/** How many events at the least are not published, and since when the first of them waits; null when there is none. */
export async function readWaiting(db: Db, countMost: number): Promise<{ count: number; since: Date } | null> {
  const { rows } = await sql<{ count: number; since: Date | null }>`
    select count(*)::int as count, min(created_at) as since from (
      (select created_at from engine.outbox_event
        where position > (select position from engine.outbox_published) order by position limit ${countMost})
      union all
      (select created_at from engine.outbox_event where position is null order by id limit ${countMost})
    ) waiting
  `.execute(db)
  const { count = 0, since = null } = rows[0] ?? {}
  return since === null ? null : { count, since }
}

/** Removes what was published and is older than `keepMs`. */
export async function pruneEvents(db: Db, keepMs: number, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from engine.outbox_event where id in (
      select e.id from engine.outbox_event e, engine.outbox_published p
      where e.position <= p.position and e.created_at < now() - make_interval(secs => ${keepMs / 1000}::float8)
      order by e.position limit ${limit} for update of e skip locked)
  `.execute(db)
  return Number(numAffectedRows ?? 0)
}
