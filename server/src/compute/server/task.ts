// A task is one change of a server that takes time: the claim and the saga commit together, the end is a
// compare-and-set on the generation of the claim. Whoever lost the server to a later task touches nothing more.
import {
  type Saga,
  type SagaFailure,
  type StepContext,
  type WithLog,
  withLog,
} from "../../engine/saga/saga.ts"
import type { Ctx, Platform } from "../../platform/context/context.ts"
import { type DbOrTx, type Tx, transact } from "../../platform/db/database.ts"
import { isAdmin } from "../admin.ts"
import {
  serverInvalidState,
  serverLocked,
  serverNotFound,
  serverNotLaunched,
  serverNotReady,
  serverSuperseded,
  serverTpmRefused,
} from "../faults.ts"
import { endAction, recordActions } from "../server-action/store.ts"
import { type Actor, notifyServer } from "./notification.ts"
import type { Server } from "./server.ts"
import { type ActionName, type ActionRule, actionRules, refusalOf } from "./state.ts"
import {
  changeServer,
  claimTask,
  isTaskFinished,
  lockRow,
  type ServerChanges,
  selectServer,
} from "./store.ts"
import { hasTpm, refusedWithTpm } from "./tpm.ts"

/** Parameters of every saga of a server. */
export interface TaskParams extends Actor {
  serverId: string
  generation: number
}

export function actorOf(ctx: Ctx): Actor {
  return { requestId: ctx.requestId, userId: ctx.caller.userId, projectId: ctx.caller.projectId }
}

/** Takes the server for the action or throws what Nova says when its state forbids it. */
export async function claimServer(ctx: Ctx, tx: Tx, serverId: string, name: ActionName): Promise<Server> {
  const rule = actionRules[name]
  for (let attempt = 1; ; attempt++) {
    const claimed = await claimTask(tx, serverId, rule, isAdmin(ctx))
    if (claimed) {
      refuseWithTpm(claimed, name)
      return claimed
    }
    const now = await selectServer(tx, serverId)
    if (!now) throw serverNotFound(serverId)
    checkState(ctx, now, name)
    // It was forbidden and is not any more: another request ended in between.
    if (attempt >= 3) throw serverInvalidState(serverId, rule.action, "task_state", now.taskState ?? "None")
  }
}

/** Throws when the action may not start in this state. The claim decides; this is for what must be looked at before. */
export function checkState(ctx: Ctx, server: Server, name: ActionName): void {
  const rule = actionRules[name]
  const refusal = refusalOf(rule, server, isAdmin(ctx))
  if (refusal?.why === "locked") throw serverLocked(server.id)
  if (refusal?.why === "not_launched") throw serverNotLaunched(server.id, rule.action)
  if (refusal) throw serverInvalidState(server.id, rule.action, refusal.attribute, refusal.state)
  refuseWithTpm(server, name)
}

function refuseWithTpm(server: Server, name: ActionName): void {
  const operation = refusedWithTpm.get(name)
  if (operation !== undefined && hasTpm(server)) throw serverTpmRefused(operation, server.id)
}

export interface BeginTask<P extends TaskParams> {
  serverId: string
  action: ActionName
  /** `power_on` of `compute.instance.power_on.start` */
  event: string
  saga: Saga<P>
  /** Parameters beyond those of every task; may also write, in the same transaction. */
  more: (tx: Tx, claimed: Server) => Promise<Omit<P, keyof TaskParams>> | Omit<P, keyof TaskParams>
}

const worksWithoutHost: ReadonlySet<ActionName> = new Set<ActionName>(["delete", "unshelve", "shelveOffload"])

export async function beginTask<P extends TaskParams>(ctx: Ctx, task: BeginTask<P>): Promise<Server> {
  return await transact(ctx.db, async (tx) => {
    const claimed = await claimServer(ctx, tx, task.serverId, task.action)
    if (claimed.host === null && !worksWithoutHost.has(task.action)) throw serverNotReady(claimed.id)
    const actor = actorOf(ctx)
    const { action, recorded = action }: ActionRule = actionRules[task.action]
    await recordActions(tx, [{ serverId: claimed.id, action: recorded, ...actor }])
    await notifyServer(ctx, tx, claimed, `${task.event}.start`, actor)
    const more = await task.more(tx, claimed)
    const base: TaskParams = { serverId: claimed.id, generation: claimed.generation, ...actor }
    // `more` is exactly what P has beyond TaskParams.
    const params = { ...base, ...more } as P
    await ctx.sagas.start(tx, task.saga, params, { requestId: ctx.requestId, resourceId: claimed.id })
    return claimed
  })
}

/**
 * For the step that ends a task: whether it did already. A crash between that commit and the saga's log runs the
 * step again; by then another task may have the server, and unwinding would take away what it stands on.
 */
export async function isFinished(platform: Platform, params: TaskParams): Promise<boolean> {
  return await isTaskFinished(platform.db, params.serverId, params.generation)
}

/** For the steps of a saga: the row as long as this task holds it. */
export async function heldServer({ db }: { db: DbOrTx }, params: TaskParams): Promise<Server> {
  const server = await selectServer(db, params.serverId)
  if (!server || server.generation !== params.generation) throw serverSuperseded(params.serverId)
  return server
}

/** The same; null when another task has it now, a delete most likely. */
export async function heldOrNull(platform: Platform, params: TaskParams): Promise<Server | null> {
  try {
    return await heldServer(platform, params)
  } catch (error) {
    if (serverSuperseded.is(error)) return null
    throw error
  }
}

/** For a step that ends its task: undefined when it has ended already, whoever has the server now. */
export async function heldUnlessFinished(
  platform: Platform,
  params: TaskParams,
): Promise<Server | undefined> {
  const server = await selectServer(platform.db, params.serverId)
  if (server?.generation === params.generation) return server
  if (await isFinished(platform, params)) return undefined
  throw serverSuperseded(params.serverId)
}

/** As `heldServer`, and no other task takes the server before this transaction ends. */
export async function holdServer(tx: Tx, params: TaskParams): Promise<Server> {
  const server = await lockRow(tx, params.serverId)
  if (!server || server.generation !== params.generation) throw serverSuperseded(params.serverId)
  return server
}

/** Changes the row in the middle of a task; throws when another task has it now. */
export async function advanceTask(tx: Tx, params: TaskParams, changes: ServerChanges): Promise<Server> {
  const server = await changeServer(tx, params.serverId, params.generation, changes)
  if (!server) throw serverSuperseded(params.serverId)
  return server
}

export interface TaskEnd {
  /** Notification: `power_on` → `compute.instance.power_on.end`. */
  event: string
  /** Event of os-instance-actions, as Nova names the part on the host. */
  part: string
}

/** For the end of a saga's last step: `return finishTask(…)`. */
export function finishTask(
  platform: Platform,
  params: TaskParams,
  changes: ServerChanges,
  end: TaskEnd,
): WithLog<void> {
  return withLog((tx) => finishTaskIn(tx, platform, params, changes, end))
}

export async function finishTaskIn(
  tx: Tx,
  platform: Platform,
  params: TaskParams,
  changes: ServerChanges,
  end: TaskEnd,
): Promise<void> {
  const server = await advanceTask(tx, params, { taskState: null, isFinishedNow: true, ...changes })
  await endAction(tx, {
    serverId: server.id,
    requestId: params.requestId,
    event: end.part,
    host: server.host,
    error: null,
  })
  await notifyServer(platform, tx, server, `${end.event}.end`, params)
}

/** After a failure and its undoing: the task is over, and the user finds out why. */
export function abandonTask<P extends TaskParams>(
  s: StepContext<P, object> & { failure: SagaFailure },
  changes: ServerChanges,
  end: TaskEnd,
  /** What else belongs to it. */
  also: (tx: Tx) => Promise<void> = async () => {},
): WithLog<void> {
  const { params, failure } = s
  return withLog(async (tx) => {
    await also(tx)
    const server = await changeServer(tx, params.serverId, params.generation, {
      taskState: null,
      fault: faultOfFailure(failure, s.ctx.clock.now()),
      ...changes,
    })
    // Another task has the server now: what became of this one is nobody's business any more.
    if (!server) return
    await endAction(tx, {
      serverId: params.serverId,
      requestId: params.requestId,
      event: end.part,
      host: server.host,
      error: failure.message,
    })
    await notifyServer(s.ctx, tx, server, `${end.event}.error`, params, {
      code: failure.code,
      message: failure.message,
    })
  })
}

export function faultOfFailure(failure: SagaFailure, now: Date) {
  const details = failure.details ?? failure.step
  return { code: 500, message: messageFor(failure), details, createdAt: now.toISOString() }
}

function messageFor({ kind, code, message }: SagaFailure): string {
  // A bug's text is for the log; the user gets its class, as with Nova.
  if (kind === "bug") return "The host met an unexpected condition."
  // Who does not answer is named by its host, which is not the user's to know.
  if (kind === "unavailable" && /^(bus|agent)\./.test(code)) return "The host does not answer."
  return message
}
