// Who logged in and who changed what: to the outbox as Keystone's notifications, and to the audit log of the host.
import { sql } from "kysely"
import { Loop } from "../../engine/loop.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { OutboxEvent } from "../../platform/context/durable.ts"
import { afterCommit, type Tx, transact } from "../../platform/db/database.ts"
import type { AuditLog } from "./audit-log.ts"
import { accountUser, type CadfEvent, cadfEvent, initiatorOf, type Outcome } from "./cadf.ts"
import type { LoginQueue } from "./login-queue.ts"

export interface Audit {
  /** Id of the catalog's identity service; the name of it until that is known. */
  observerId: string
  /** Null when the host keeps none. */
  readonly log: AuditLog | null
  readonly logins: LoginQueue
}

/** Records that are written in one transaction. */
const batch = 200
/** How often it is looked whether suppressed records are to be told. */
const intervalMs = 1_000

function isOptedOut(platform: Platform, type: string): boolean {
  return platform.config.identity.notification_opt_out.includes(type)
}

function notificationOf(ctx: Platform, type: string, event: CadfEvent, payload: object = event): OutboxEvent {
  const { initiator } = event
  const text = (value: unknown) => (typeof value === "string" ? value : null)
  return {
    type,
    publisher: `identity.${ctx.config.host}`,
    projectId: text(initiator.project_id),
    userId: text(initiator.user_id),
    requestId: text(initiator.request_id),
    resourceId: event.target.id,
    payload: { ...payload },
  }
}

function logLine(platform: Platform, type: string, event: CadfEvent): void {
  platform.drivers.identity.audit.log?.write({
    event_type: type,
    publisher_id: `identity.${platform.config.host}`,
    payload: event,
  })
}

/** In the transaction of the change: told when that commits, and not otherwise. */
export async function auditChange(
  ctx: Ctx,
  tx: Tx,
  type: string,
  event: CadfEvent,
  basic: Record<string, unknown> | null,
): Promise<void> {
  afterCommit(tx, () => logLine(ctx, type, event))
  if (isOptedOut(ctx, type)) return
  const isBasic = basic !== null && ctx.config.identity.notification_format === "basic"
  await ctx.outbox.append(tx, notificationOf(ctx, type, event, isBasic ? basic : event))
}

export interface LoginRecord {
  outcome: Outcome
  userId: string | null
  /** As the client gave it when there is no such user. */
  userName: string | null
  methods: readonly string[]
  /** Of the token that was issued. */
  auditId: string | null
  reason: { text: string; status: number } | null
}

const loginType = "identity.authenticate"

export function auditLogin(ctx: Ctx, record: LoginRecord): void {
  const { outcome, userId, userName, methods, auditId, reason } = record
  const credential = { type: methods.join("+"), ...(auditId ? { token: auditId } : {}) }
  const initiator = initiatorOf(ctx, { userId, userName, credential })
  const { audit } = ctx.drivers.identity
  const event = cadfEvent(ctx.clock.now(), {
    action: "authenticate",
    outcome,
    initiator,
    target: { typeURI: accountUser, id: initiator.id },
    observerId: audit.observerId,
    reason,
  })
  if (audit.logins.add(event)) logLine(ctx, loginType, event)
}

/** Writes the records of logins until it is disposed; then the rest. */
export async function publishLogins(platform: Platform): Promise<AsyncDisposable> {
  const { audit } = platform.drivers.identity
  audit.observerId = (await findObserverId(platform)) ?? audit.observerId
  const { clock, log } = platform
  const body = () => publishBatch(platform)
  const loop = new Loop({ name: "identity.audit", intervalMs, clock, log, body })
  audit.logins.onAdded = () => loop.poke()
  return {
    async [Symbol.asyncDispose]() {
      audit.logins.onAdded = () => {}
      await loop.stop()
      while (await publishBatch(platform)) {
        // What came since.
      }
      await audit.log?.flush()
    },
  }
}

async function findObserverId(platform: Platform): Promise<string | undefined> {
  const row = await platform.db
    .selectFrom("identity.service")
    .select("id")
    .where("type", "=", "identity")
    .orderBy("created_at")
    .limit(1)
    .executeTakeFirst()
  return row?.id
}

async function publishBatch(platform: Platform): Promise<boolean> {
  const { logins } = platform.drivers.identity.audit
  const suppressed = logins.takeSuppressed()
  if (suppressed > 0) tellSuppressed(platform, suppressed)
  const events = logins.take(batch)
  if (events.length === 0) return false
  const wanted = events.filter((event) => !isOptedOut(platform, `${loginType}.${event.outcome}`))
  try {
    if (wanted.length > 0) await appendAll(platform, wanted)
  } catch (error) {
    logins.giveBack(events)
    throw error
  }
  return events.length === batch
}

async function appendAll(platform: Platform, events: readonly CadfEvent[]): Promise<void> {
  await transact(platform.db, async (tx) => {
    // Nobody waits for it, so it need not wait for the disk either.
    await sql`set local synchronous_commit = off`.execute(tx)
    for (const event of events) await platform.outbox.append(tx, notificationOf(platform, loginType, event))
  })
}

/** One record for all that were only counted. */
function tellSuppressed(platform: Platform, count: number): void {
  const { audit } = platform.drivers.identity
  const text = `${count} failed logins were not recorded one by one`
  const account = { typeURI: accountUser, id: "unknown" }
  const event = cadfEvent(platform.clock.now(), {
    action: "authenticate",
    outcome: "failure",
    initiator: account,
    target: account,
    observerId: audit.observerId,
    reason: { text, status: 401 },
    more: { suppressed: count },
  })
  platform.log.warn({ count }, `identity: ${text}`)
  if (audit.logins.add(event)) logLine(platform, loginType, event)
}
