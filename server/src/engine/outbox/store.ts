// The SQL of the outbox.
//
// Ids are given before commits, so a reader who goes by them skips what commits late. So the publisher, alone by the
// lock on `outbox_published`, gives each event a position once it is visible, in the order of ids; readers go by
// that. Two events of one resource keep their order: the second one's writer held the lock on the resource's row,
// so the first was committed and had its id before.
import { sql } from "kysely"
import type { OutboxEvent } from "../../platform/context/durable.ts"
import type { Db, Tx } from "../../platform/db/database.ts"
import type { StoredEvent } from "./notification.ts"

/** Rows of one statement: what is sent to the database stays some megabytes. */
const insertBatch = 1_000

export async function insertEvents(
  tx: Tx,
  events: readonly (OutboxEvent & { messageId: string })[],
): Promise<void> {
  for (let at = 0; at < events.length; at += insertBatch) {
    const rows = events.slice(at, at + insertBatch).map((event, index) => ({ ...event, index }))
    await sql`
      insert into engine.outbox_event
        (message_id, type, publisher, priority, project_id, user_id, request_id, resource_id, payload)
      select "messageId", type, publisher, coalesce(priority, 'INFO'), "projectId", "userId", "requestId", "resourceId",
        payload
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as e ("messageId" uuid, type text, publisher text,
        priority text, "projectId" text, "userId" text, "requestId" text, "resourceId" text, payload jsonb, index int)
      order by index
    `.execute(tx)
  }
}

/** Null when another process publishes now. Held to the end of the transaction. */
export async function lockPublished(tx: Tx): Promise<number | null> {
  // Without waiting for the disk: what a crash undoes here is only published once more.
  const { rows } = await sql<{ position: number }>`
    select position, set_config('synchronous_commit', 'off', true) from engine.outbox_published
    for update skip locked
  `.execute(tx)
  return rows[0]?.position ?? null
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

export async function markPublished(tx: Tx, position: number): Promise<void> {
  await sql`update engine.outbox_published set position = ${position}, updated_at = now()`.execute(tx)
}

export async function lastPosition(db: Db): Promise<number> {
  const { rows } = await sql<{ position: number }>`
    select coalesce(max(position), 0) as position from engine.outbox_event
  `.execute(db)
  return rows[0]?.position ?? 0
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
