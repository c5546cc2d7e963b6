// Moves of servers that an operator's command begins and also ends: nobody is asked to confirm them. Nothing of it is
// state of its own: a migration whose user is the program itself is one of them.
import { type RawBuilder, sql } from "kysely"
import { internalCaller } from "../../platform/auth/caller.ts"
import { internalCtx, type Platform } from "../../platform/context/context.ts"
import type { DbOrTx } from "../../platform/db/database.ts"
import { isUuid } from "../../platform/ids/ids.ts"
import { serverInvalidState, serverNotFound } from "../faults.ts"
import { liveProgressOf } from "../migration/of-server.ts"
import { evacuateServer } from "./evacuate.ts"
import { migrateServer, migrateServerLive } from "./migrate.ts"
import { confirmResize } from "./resize.ts"
import { type MoveFacts, type MoveProgress, type MoveWay, percentOf, progressOf, standOf } from "./stand.ts"

/** Of these servers, with the migration of this number or the last one of each. */
async function selectMoves(
  db: DbOrTx,
  which: RawBuilder<unknown>,
  { number, most }: { number?: number; most?: number } = {},
): Promise<MoveFacts[]> {
  const wanted = number === undefined ? sql`true` : sql`number = ${number}`
  const { rows } = await sql<MoveFacts>`
    select s.id, s.name, s.host, s.vm_state as "vmState", s.task_state as "taskState",
      m.facts as migration
    from compute.server s left join lateral (
      select jsonb_build_object('number', number, 'type', type, 'status', status,
        'isOurs', user_id = ${internalCaller.userId}, 'sourceHost', source_host,
        'destHost', nullif(dest_host, '')) as facts
      from compute.migration where server_id = s.id and ${wanted} order by number desc limit 1
    ) m on true
    where s.deleted_at is null and ${which} order by s.number limit ${most ?? null}`.execute(db)
  return rows
}

/** Those that are on the host, and those whose move from it waits to be confirmed: it still keeps what they had. */
export async function selectMovesOfHost({ db }: Platform, host: string): Promise<MoveFacts[]> {
  // One after the other: joined by "or" they would be looked for among all servers.
  const ids = sql`select id from compute.server where host = ${host} and deleted_at is null
    union select server_id from compute.migration where source_host = ${host} and status = 'finished'`
  const found = await selectMoves(db, sql`s.id = any(array(${ids}))`)
  const isKept = ({ vmState, migration }: MoveFacts) =>
    vmState === "resized" && migration?.status === "finished" && migration.sourceHost === host
  return found.filter((each) => each.host === host || isKept(each))
}

/** By the id, or by the name: then there may be several, of which few are told. */
export async function findServersToMove({ db }: Platform, text: string): Promise<MoveFacts[]> {
  return await selectMoves(db, isUuid(text) ? sql`s.id = ${text}` : sql`s.name = ${text}`, { most: 5 })
}

async function factsOf(platform: Platform, serverId: string, number?: number) {
  const how = number === undefined ? {} : { number }
  return (await selectMoves(platform.db, sql`s.id = ${serverId}`, how))[0]
}

export interface BeginMove {
  serverId: string
  way: MoveWay
  /** Null: any. */
  host: string | null
}

/** Nova's number of the migration. */
export async function beginMove(platform: Platform, { serverId, way, host }: BeginMove): Promise<number> {
  const ctx = internalCtx(platform)
  if (way === "live") await migrateServerLive(ctx, { serverId, host, isBlockMigration: null })
  else if (way === "anew") await evacuateServer(ctx, { serverId, host })
  else await migrateServer(ctx, { serverId, host })
  const begun = (await factsOf(platform, serverId))?.migration
  if (!begun) throw serverNotFound(serverId)
  return begun.number
}

export interface LookAtMove {
  serverId: string
  migration: number
  /** Its host is asked for it. */
  withPercent: boolean
}

export async function lookAtMove(platform: Platform, look: LookAtMove): Promise<MoveProgress> {
  const facts = await factsOf(platform, look.serverId, look.migration)
  const found = progressOf(facts)
  const status = facts?.migration?.status
  if (found.is === "failed" && (status === "error" || status === "failed"))
    return { ...found, why: (await selectFailure(platform.db, look.migration)) ?? found.why }
  if (found.is !== "on_way" || !look.withPercent || facts?.migration?.type !== "live-migration") return found
  const { sourceHost } = facts.migration
  const progress = await liveProgressOf(internalCtx(platform), { serverId: look.serverId, sourceHost })
  return { ...found, percent: progress && percentOf(progress) }
}

/** In the words of the action that it was; users see less. */
async function selectFailure(db: DbOrTx, migration: number): Promise<string | null> {
  const { rows } = await sql<{ details: string | null }>`
    select e.details from compute.migration m
      join compute.server_action a on a.server_id = m.server_id and a.started_at >= m.created_at
      join compute.server_action_event e on e.action_id = a.id and e.result = 'Error'
    where m.number = ${migration} order by e.id limit 1`.execute(db)
  return rows[0]?.details ?? null
}

/** Of one that such a command began, and of no other. */
export async function confirmMove(platform: Platform, serverId: string): Promise<void> {
  const facts = await factsOf(platform, serverId)
  if (!facts) throw serverNotFound(serverId)
  if (standOf(facts, { isUp: true, mayStop: false }).is !== "to_confirm")
    throw serverInvalidState(serverId, "confirmResize", "vm_state", facts.vmState)
  await confirmResize(internalCtx(platform), { serverId })
}
