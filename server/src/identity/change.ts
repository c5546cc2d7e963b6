// Every write of identity goes through `changeIdentity`, so that this process forgets what it knew before the
// client hears of the change. Other processes hear of it from PostgreSQL: the triggers of the schema notify in the
// same transaction (`identity_change`). Rotated keys are told the same way (`identity_keys`).
import pg from "pg"
import type { Ctx, Platform } from "../platform/context/context.ts"
import { afterCommit, type Tx, transact, violatedConstraint } from "../platform/db/database.ts"
import { describeError, type Fault } from "../platform/fault/fault.ts"
import { auditChange } from "./audit/audit.ts"
import { cadfEvent, initiatorOf, targetOf } from "./audit/cadf.ts"

export function changeIdentity<T>(platform: Platform, run: (tx: Tx) => Promise<T>): Promise<T> {
  return transact(platform.db, async (tx) => {
    afterCommit(tx, () => platform.drivers.identity.cache.flush())
    return await run(tx)
  })
}

const pingIntervalMs = 5_000
const reconnectMs = 500

/** Keeps a connection that listens; while it is down, the cache is not used. Dispose to stop. */
export function listenForChanges(platform: Platform): AsyncDisposable {
  const stop = new AbortController()
  const { cache } = platform.drivers.identity
  const loop = async () => {
    while (!stop.signal.aborted) {
      try {
        await listenOnce(platform, stop.signal)
      } catch (error) {
        platform.log.warn(
          { why: describeError(error) },
          "identity: not told of changes; tokens are not cached",
        )
      }
      cache.isCoherent = false
      await platform.clock.sleep(reconnectMs, stop.signal).catch(() => {})
    }
  }
  const done = loop()
  return {
    async [Symbol.asyncDispose]() {
      stop.abort()
      await done
    },
  }
}

async function listenOnce(platform: Platform, signal: AbortSignal): Promise<void> {
  const { cache, keys, connectionString } = platform.drivers.identity
  const client = new pg.Client({
    connectionString,
    application_name: "kumoi identity listener",
    keepAlive: true,
  })
  const broken = Promise.withResolvers<never>()
  // Whoever awaits it learns of it below; this only keeps an early break from being unhandled.
  broken.promise.catch(() => {})
  client.on("error", broken.reject)
  client.on("end", () => broken.reject(new Error("the connection ended")))
  client.on("notification", ({ channel }) => {
    if (channel === "identity_keys") keys.refresh().catch(broken.reject)
    else cache.flush()
  })
  try {
    await client.connect()
    await client.query("listen identity_change; listen identity_keys")
    await keys.refresh()
    cache.isCoherent = true
    for (;;) {
      await Promise.race([platform.clock.sleep(pingIntervalMs, signal), broken.promise])
      // A peer that vanished without a word is found out here.
      const late = platform.clock.sleep(pingIntervalMs, signal).then(() => {
        throw new Error("the database did not answer in time")
      })
      late.catch(() => {})
      await Promise.race([client.query("select 1"), late, broken.promise])
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    cache.isCoherent = false
    await client.end().catch(() => {})
  }
}

/** Runs the change; a broken unique constraint becomes the fault that `onConflict` names. */
export async function changeOrConflict<T>(
  platform: Platform,
  onConflict: (constraint: string) => Fault,
  run: (tx: Tx) => Promise<T>,
): Promise<T> {
  try {
    return await changeIdentity(platform, run)
  } catch (error) {
    const constraint = violatedConstraint(error)
    throw constraint === undefined ? error : onConflict(constraint)
  }
}

export type ChangeKind = "created" | "updated" | "deleted" | "disabled"

/** Who was put in or taken out of the thing. */
export interface ChangeActor {
  id: string
  type: string
  operation: "added" | "removed"
}

/** `identity.project.created` and its like, in the transaction of the change. */
export async function announce(
  ctx: Ctx,
  tx: Tx,
  noun: string,
  kind: ChangeKind,
  id: string,
  actor?: ChangeActor,
): Promise<void> {
  const facts = {
    resource_info: id,
    ...(actor ? { actor_id: actor.id, actor_type: actor.type, actor_operation: actor.operation } : {}),
  }
  const event = cadfEvent(ctx.clock.now(), {
    action: `${kind}.${noun}`,
    outcome: "success",
    initiator: initiatorOf(ctx),
    target: targetOf(noun, id),
    observerId: ctx.drivers.identity.audit.observerId,
    more: facts,
  })
  await auditChange(ctx, tx, `identity.${noun}.${kind}`, event, { ...facts, request_id: ctx.requestId })
}
