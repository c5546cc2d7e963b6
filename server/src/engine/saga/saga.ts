// A saga is an ordered list of steps, each `do` and maybe `undo`. See runner.ts for how it survives anything.
import type { Ctx } from "../../platform/context/context.ts"
import type { SagaReference } from "../../platform/context/durable.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { Fault, FaultKind } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"

/** What a step gets. `out` has the outputs of the steps before it, by name. */
export interface StepContext<P, O> {
  /** Its `db` is for reading, and for functions that begin a transaction of their own: those assert the fence too. */
  readonly ctx: Ctx
  readonly params: P
  readonly out: O
  readonly sagaId: string
  /** Rises with every new owner of this saga; goes with every command to the outside. */
  readonly fence: number
  /** Aborts when the step's time is over or the lease is lost. */
  readonly signal: AbortSignal
  readonly log: Logger
  /**
   * A transaction that commits only while this worker owns the saga: nobody takes the saga over before its end, and
   * when somebody has, it throws and this run is over. For rows that change before the end of a node; the last ones
   * are better made by `withLog`.
   */
  readonly transact: <R>(run: (tx: Tx) => Promise<R>) => Promise<R>
}

/** The last part of a node, when that is a change of rows: made in the transaction that logs the end of the node. */
export class WithLog<R> {
  readonly run: (tx: Tx) => Promise<R>
  readonly isFlushedLater: boolean

  constructor(run: (tx: Tx) => Promise<R>, isFlushedLater: boolean) {
    this.run = run
    this.isFlushedLater = isFlushedLater
  }
}

/**
 * Ends a step, an undo or `onUnwound`: `return withLog(async (tx) => …)`. The rows and the log commit together, so it
 * costs one commit instead of two, and a crash leaves both or neither. Must be repeatable, as whatever `transact` runs.
 *
 * `isFlushedLater`: the commit does not wait for the disk; the next one that does takes it along, as there is one order
 * of commits. For steps after which another one changes only rows: if the database dies before, both are made again.
 */
export function withLog<R>(
  run: (tx: Tx) => Promise<R>,
  options: { isFlushedLater?: boolean } = {},
): WithLog<R> {
  return new WithLog(run, options.isFlushedLater === true)
}

// biome-ignore lint/suspicious/noConfusingVoidType: what a function without `return` gives
export type UndoResult = void | WithLog<unknown>

/**
 * Thrown by a `do` whose turn has not come: the saga gives its place back, and the step runs again when `sagas.wake` says
 * that something has changed, or after this time. It counts as no try, and nobody is told.
 */
export class NotYet extends Error {
  readonly againInMs: number
  constructor(againInMs: number) {
    super("its turn has not come")
    this.againInMs = againInMs
  }
}

export interface StepDefinition<P, O, R> {
  /** At least once: "ensure", never "add". The result is kept as JSON. */
  do: (s: StepContext<P, O>) => Promise<R | WithLog<R>> | R | WithLog<R>
  /** Tolerates "nothing there": it also runs for the step that failed. */
  undo?: (s: StepContext<P, Partial<O>>) => Promise<UndoResult> | UndoResult
  /**
   * Waits for what is away (fault `unavailable`), however long that takes, where giving up helps nobody: there is no way
   * back, or it would fail elsewhere too. By default a `do` gives up after some tries; an undo always waits.
   */
  waits?: true | ((fault: Fault) => boolean)
  /** Default 60 s. */
  timeoutMs?: number
}

export interface SagaFailure {
  step: string
  kind: FaultKind
  code: string
  message: string
  /** For operators only. */
  details?: string
}

export type UnwoundContext<P> = StepContext<P, object> & { failure: SagaFailure }

export interface AnyStep {
  readonly name: string
  // biome-ignore lint/suspicious/noExplicitAny: the builder has checked the types already
  readonly definition: StepDefinition<any, any, any>
}

export interface Saga<P, O = object> extends SagaReference<P> {
  readonly name: string
  readonly version: number
  readonly steps: readonly AnyStep[]
  /** It gets a place also when all are taken. */
  readonly goesFirst?: true
  readonly unwound: ((s: UnwoundContext<P>) => Promise<UndoResult> | UndoResult) | undefined
  step<N extends string, R>(
    name: N,
    definition: StepDefinition<P, O, R>,
  ): Saga<P, O & { [K in N]: Awaited<R> }>
  /** Runs (at least once) when every undo is done: put the row into the state that users see. */
  onUnwound(run: (s: UnwoundContext<P>) => Promise<UndoResult> | UndoResult): Saga<P, O>
}

/** goesFirst: of short ones for which somebody waits: it gets a place also when all are taken. */
type SagaHow = Pick<AnySaga, "goesFirst">

function build<P, O>(
  name: string,
  version: number,
  steps: readonly AnyStep[],
  unwound: Saga<P, O>["unwound"],
  how: SagaHow,
): Saga<P, O> {
  return {
    ...how,
    name,
    version,
    steps,
    unwound,
    step(stepName, definition) {
      if (steps.some((s) => s.name === stepName))
        throw new Error(`saga ${name}: step ${stepName} is there twice`)
      return build(name, version, [...steps, { name: stepName, definition }], unwound, how)
    },
    onUnwound: (run) => build(name, version, steps, run, how),
  }
}

/** Begins a saga: `saga<Params>("compute.server.create", 1).step("schedule", { do, undo }).step(…).onUnwound(…)`. */
export function saga<P>(name: string, version: number, how: SagaHow = {}): Saga<P> {
  return build<P, object>(name, version, [], undefined, how)
}

// biome-ignore lint/suspicious/noExplicitAny: where sagas of different parameters lie in one list
export type AnySaga = Saga<any, any>
