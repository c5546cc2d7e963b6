// Runs one saga that this worker owns, until it ends, must wait, or is no longer ours.
//
//   running ──(all steps done)──> done
//      └──(a step failed)──> unwinding ──(all undone)──> unwound
//                                └──(an undo fails)──> stuck ──(an operator resumes)──> unwinding
//
// What is away (a host, an engine) is waited for: by an undo always, by a step that says so; then the saga stays in its
// state, with `waits` counted and `last_error` told.
//
// Commits are few: the end of a node and the start of the next are one statement.
import type { Platform } from "../../platform/context/context.ts"
import { transact, translateDatabaseError } from "../../platform/db/database.ts"
import { allButLast } from "../../platform/db/gather.ts"
import { describeError, type Fault, toFault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import { type Attempt, attempt } from "../attempt.ts"
import type { EngineConfig } from "../config.ts"
import { hasLogged, nextStep, nextUndo, type Progress, unwoundNode } from "./progress.ts"
import { type AnySaga, type AnyStep, NotYet, type SagaFailure, type StepContext, WithLog } from "./saga.ts"
import { LeaseLost, stepContext } from "./step-context.ts"
import {
  type After,
  isLeaseLost,
  type LogEvent,
  type LogWrite,
  type SagaRow,
  type SagaState,
  type Tried,
  writeLog,
  writeLogLast,
} from "./store.ts"

/** Tells of a log write, before it and after it; the crash tests end the process there. */
export type WriteProbe = (when: "before" | "after", events: readonly LogEvent[]) => void

export interface SagaRun {
  readonly platform: Platform
  readonly config: EngineConfig
  readonly log: Logger
  readonly saga: AnySaga
  readonly row: SagaRow
  readonly progress: Progress
  readonly interrupt: AbortSignal
  /** True once the process stops: no further step begins. */
  readonly isStopping: () => boolean
  readonly probe: WriteProbe | undefined
}

/** `waiting`: given back, to be claimed again in `waitMs` or by another worker. `lost`: another worker owns it. */
export type RunEnd =
  | { kind: "ended"; state: SagaState }
  | { kind: "waiting"; waitMs: number }
  | { kind: "lost" }

/** Ends this run; what the log says is all that is left. */
class RunEnded extends Error {
  readonly end: RunEnd
  constructor(end: RunEnd) {
    super(end.kind)
    this.end = end
  }
}

export async function runSaga(run: SagaRun): Promise<RunEnd> {
  try {
    if (run.row.state === "running") await goForward(run)
    return await unwind(run)
  } catch (error) {
    if (error instanceof RunEnded) return error.end
    throw error
  }
}

async function goForward(run: SagaRun): Promise<void> {
  const first = nextStep(run.saga, run.progress)
  if (first && !hasLogged(run.progress, "do_started", first.name)) await keep(run, [started(first)])
  if (!first) await end(run, [], "done")
  for (;;) {
    const step = nextStep(run.saga, run.progress)
    if (!step) return
    const result = await tryRun(
      run,
      step.name,
      (context) => step.definition.do(context),
      (value) => endOfStep(run, step, value),
      step.definition.timeoutMs,
    )
    if (result.kind === "interrupted") await interrupted(run, result.by)
    else if (result.kind === "failed") return await failForward(run, step, result)
    else await nodeDone(run, result.value)
  }
}

/** What the end of a node writes. */
interface NodeEnd {
  events: LogEvent[]
  after: After
}

interface NodeResult {
  end: NodeEnd
  /** With the rows that the node changed. */
  isWritten: boolean
}

type EndOf = (value: unknown) => NodeEnd

/** Rows and log together. By the fence the node began with: a run that left it behind has a higher one since. */
async function writeWithLog(
  run: SagaRun,
  last: WithLog<unknown>,
  fence: number,
  endOf: EndOf,
): Promise<NodeResult> {
  let isLogged = false
  try {
    return await transact(run.platform.db, async (tx) => {
      isLogged = false
      const end = endOf(await last.run(tx))
      run.probe?.("before", end.events)
      const { isFlushedLater } = last
      const besides = await allButLast(tx)
      isLogged = true
      await writeLogLast(tx, logWrite(run, end.events, end.after, { fence, isFlushedLater, besides }))
      return { end, isWritten: true }
    })
  } catch (error) {
    // With the log the rows stay as they are, too.
    throw isLogged && isLeaseLost(error) ? new LeaseLost() : error
  }
}

async function nodeDone(run: SagaRun, { end, isWritten }: NodeResult): Promise<void> {
  const { events, after } = end
  if (isWritten) {
    run.progress.record(events)
    run.probe?.("after", events)
  } else await write(run, events, after)
  run.row.attempts = 0
  run.row.waits = 0
  if (after.kind === "end") throw new RunEnded({ kind: "ended", state: after.state })
  if (after.kind === "release") throw new RunEnded({ kind: "waiting", waitMs: after.waitMs })
}

function endOfStep(run: SagaRun, step: AnyStep, value: unknown): NodeEnd {
  // Through JSON, so that the next steps see the same whether or not a crash lies between.
  const data: unknown = JSON.parse(JSON.stringify(value ?? null))
  const done: LogEvent = { node: step.name, kind: "do_done", data }
  const following = run.saga.steps[run.saga.steps.indexOf(step) + 1]
  if (!following) return { events: [done], after: { kind: "end", state: "done" } }
  if (run.isStopping())
    return { events: [done], after: { kind: "release", waitMs: 0, counts: null, error: null } }
  return { events: [done, started(following)], after: { kind: "keep", state: "running" } }
}

type Failed = Extract<Attempt<unknown>, { kind: "failed" }>

async function failForward(run: SagaRun, step: AnyStep, failed: Failed): Promise<void> {
  if (failed.error instanceof NotYet)
    await release(run, [], { waitMs: failed.error.againInMs, counts: "turn", error: null })
  const fault = toFault(translateDatabaseError(failed.error))
  const text = describeError(failed.error)
  const isAway = fault.kind === "unavailable" && !failed.isTimeout
  const { waits } = step.definition
  if (isAway && (waits === true || waits?.(fault))) await waitFor(run, step.name, fault, failed)
  if (isAway && run.row.attempts + 1 < run.config.sagaDoAttemptsMost) {
    const waitMs = pauseAfter(run.row.attempts, fault, run.config, run.config.sagaRetryMostMs)
    run.log.info({ step: step.name, error: text, waitMs }, "step will be tried again")
    await release(run, [], { waitMs, counts: "attempt", error: text })
  }
  const failure: SagaFailure = {
    step: step.name,
    kind: fault.kind,
    code: fault.code,
    message: fault.message,
    ...(fault.forOperators !== undefined && { details: fault.forOperators }),
  }
  const level = fault.kind === "bug" ? "error" : "info"
  run.log[level]({ step: step.name, error: text, err: failed.error }, "step failed; unwinding")
  const happened: LogEvent = { node: step.name, kind: "do_failed", data: { ...failure, cause: text } }
  run.row.failure = failure
  run.row.state = "unwinding"
  const undo = nextUndo(run.saga, run.progress)
  await keep(run, [happened, ...(undo ? [undoStarted(undo)] : [])], {
    failure,
    ...fenceAfter(run, failed),
  })
}

async function unwind(run: SagaRun): Promise<RunEnd> {
  for (;;) {
    const step = nextUndo(run.saga, run.progress)
    if (!step) break
    const { undo, timeoutMs } = step.definition
    if (!hasLogged(run.progress, "undo_started", step.name)) await keep(run, [undoStarted(step)])
    const endOf = () => endOfUndo(run, step)
    const result = await tryRun(run, step.name, (context) => undo?.(context), endOf, timeoutMs)
    if (result.kind === "interrupted") await interrupted(run, result.by)
    else if (result.kind === "failed") await failUndo(run, step.name, result)
    else await nodeDone(run, result.value)
  }
  const { unwound } = run.saga
  if (!unwound) return await end(run, endOfUnwinding.events, "unwound")
  const failure = run.row.failure ?? unknownFailure
  const endOf = () => endOfUnwinding
  const result = await tryRun(run, unwoundNode, (context) => unwound({ ...context, failure }), endOf)
  if (result.kind === "interrupted") return await interrupted(run, result.by)
  if (result.kind === "failed") return await failUndo(run, unwoundNode, result)
  await nodeDone(run, result.value)
  throw new Error("a saga that has unwound goes on")
}

const endOfUnwinding: NodeEnd = {
  events: [{ node: unwoundNode, kind: "undo_done" }],
  after: { kind: "end", state: "unwound" },
}

const unknownFailure: SagaFailure = {
  step: "?",
  kind: "bug",
  code: "internal",
  message: "The server met an unexpected condition.",
}

function endOfUndo(run: SagaRun, step: AnyStep): NodeEnd {
  const done: LogEvent = { node: step.name, kind: "undo_done" }
  const following = nextUndo(run.saga, run.progress, step)
  if (run.isStopping())
    return { events: [done], after: { kind: "release", waitMs: 0, counts: null, error: null } }
  // Without another undo and without `onUnwound` the end is written with this one.
  if (!following && !run.saga.unwound)
    return { events: [done, ...endOfUnwinding.events], after: endOfUnwinding.after }
  return {
    events: following ? [done, undoStarted(following)] : [done],
    after: { kind: "keep", state: "unwinding" },
  }
}

async function failUndo(run: SagaRun, node: string, failed: Failed): Promise<never> {
  const fault = toFault(translateDatabaseError(failed.error))
  // To go on without it would leave behind what was made; to stop would need a person for every host that restarts.
  if (fault.kind === "unavailable") return await waitFor(run, node, fault, failed)
  const text = describeError(failed.error)
  if (run.row.attempts + 1 >= run.config.sagaUndoAttemptsMost) {
    run.log.error(
      { alarm: "saga_stuck", step: node, error: text, err: failed.error, attempts: run.row.attempts + 1 },
      "saga is stuck: an undo does not succeed; remove the cause, then resume it",
    )
    await end(run, [], "stuck", text)
  }
  const waitMs = pauseAfter(run.row.attempts, fault, run.config, run.config.sagaRetryMostMs)
  run.log.warn({ step: node, error: text, waitMs }, "undo failed; will be tried again")
  return await release(run, [], { waitMs, counts: "attempt", error: text }, fenceAfter(run, failed))
}

/** Until the other side is back, by ever longer pauses; after some it is told, and told again from time to time. */
async function waitFor(run: SagaRun, node: string, fault: Fault, failed: Failed): Promise<never> {
  const { config, row, log } = run
  const waits = row.waits + 1
  const waitMs = pauseAfter(row.waits, fault, config, config.sagaWaitMostMs)
  const error = describeError(failed.error)
  if (waits % config.sagaWaitAlarm === 0)
    log.error({ alarm: "saga_waits", step: node, error, waits }, "saga has been waiting for long")
  else log.info({ step: node, error, waitMs }, "saga waits for what is away")
  return await release(run, [], { waitMs, counts: "wait", error }, fenceAfter(run, failed))
}

/** What did not stop may still send; whatever it sends must be older than what comes next. */
function fenceAfter(run: SagaRun, failed: Failed): { nextFence: number } {
  return { nextFence: run.row.fence + (failed.mayStillRun ? 1 : 0) }
}

function pauseAfter(tries: number, fault: Fault, { sagaRetryFirstMs }: EngineConfig, mostMs: number): number {
  const doubled = sagaRetryFirstMs * 2 ** Math.min(tries, 20)
  return Math.min(mostMs, Math.max(doubled, fault.retryAfterMs ?? 0))
}

async function tryRun(
  run: SagaRun,
  node: string,
  action: (context: StepContext<unknown, Record<string, unknown>>) => unknown,
  endOf: EndOf,
  timeoutMs = run.config.sagaStepTimeoutMs,
): Promise<Attempt<NodeResult>> {
  const { platform, row } = run
  const { fence } = row
  const result = await attempt({
    timeoutCode: "engine.step_timeout",
    what: `Step ${node} of ${run.saga.name}`,
    timeoutMs,
    settleMs: run.config.sagaSettleMs,
    clock: platform.clock,
    interrupt: run.interrupt,
    run: async (signal) => {
      const value = await action(
        stepContext(platform, {
          sagaId: row.id,
          fence,
          requestId: row.request_id,
          params: row.params,
          out: { ...run.progress.out },
          signal,
          log: run.log,
        }),
      )
      if (value instanceof WithLog) return await writeWithLog(run, value, fence, endOf)
      return { end: endOf(value), isWritten: false }
    },
  })
  if (result.kind === "failed" && result.error instanceof LeaseLost) throw new RunEnded({ kind: "lost" })
  return result
}

function started(step: AnyStep): LogEvent {
  return { node: step.name, kind: "do_started" }
}

function undoStarted(step: AnyStep): LogEvent {
  return { node: step.name, kind: "undo_started" }
}

interface WriteExtras {
  failure?: SagaFailure | null
  nextFence?: number
}

async function write(run: SagaRun, events: readonly LogEvent[], after: After, extras: WriteExtras = {}) {
  const { row } = run
  run.probe?.("before", events)
  const nextFence = extras.nextFence ?? row.fence
  const isOurs = await writeLog(
    run.platform.db,
    logWrite(run, events, after, { ...extras, fence: row.fence }),
  )
  if (!isOurs) throw new RunEnded({ kind: "lost" })
  run.progress.record(events)
  row.fence = nextFence
  run.probe?.("after", events)
}

function logWrite(
  run: SagaRun,
  events: readonly LogEvent[],
  after: After,
  how: WriteExtras & Pick<LogWrite, "fence" | "isFlushedLater" | "besides">,
): LogWrite {
  return {
    ...{ sagaId: run.row.id, leaseMs: run.config.sagaLeaseMs, events, after },
    fence: how.fence,
    nextFence: how.nextFence ?? how.fence,
    failure: how.failure ?? null,
    isFlushedLater: how.isFlushedLater === true,
    besides: how.besides,
  }
}

async function keep(run: SagaRun, events: readonly LogEvent[], extras: WriteExtras = {}): Promise<void> {
  const state = run.row.state === "unwinding" ? "unwinding" : "running"
  await write(run, events, { kind: "keep", state }, extras)
  run.row.attempts = 0
  run.row.waits = 0
}

async function release(
  run: SagaRun,
  events: readonly LogEvent[],
  how: { waitMs: number; counts: Tried; error: string | null },
  extras: WriteExtras = {},
): Promise<never> {
  await write(run, events, { kind: "release", ...how }, extras)
  throw new RunEnded({ kind: "waiting", waitMs: how.waitMs })
}

async function end(
  run: SagaRun,
  events: readonly LogEvent[],
  state: "done" | "unwound" | "stuck",
  error?: string,
): Promise<never> {
  await write(run, events, { kind: "end", state, ...(error === undefined ? {} : { error }) })
  throw new RunEnded({ kind: "ended", state })
}

async function interrupted(run: SagaRun, by: "lease_lost" | "stopping"): Promise<never> {
  if (by === "lease_lost") throw new RunEnded({ kind: "lost" })
  return await release(run, [], { waitMs: 0, counts: null, error: null })
}
