// What services see of durable work. The engine (server/src/engine) implements it; services only start and append.
import type { Db, Tx } from "../db/database.ts"
import type { FaultKind } from "../fault/fault.ts"

/** A saga as `saga()` of engine/saga makes it; services pass it, only the engine looks inside. */
export interface SagaReference<P> {
  readonly name: string
  readonly version: number
  /** Only for the type of the parameters. */
  readonly paramsType?: P
}

export interface SagaStarter {
  /**
   * Records the saga in the caller's transaction: the claim on the state and the intent to finish commit
   * together. It begins to run right after the commit. Parameters are data: ids, generations, never secrets.
   */
  start<P>(
    tx: Tx,
    saga: SagaReference<P>,
    params: P,
    options?: { requestId?: string; resourceId?: string },
  ): Promise<string>
  /** What was away is back: sagas that wait for something try again now, and not at the end of their pause. */
  wake(db: Db): Promise<void>
  /** The same once the transaction has committed, for a step of a saga. */
  wakeAfter(tx: Tx): void
  /** Waits until it has ended, in whatever process; with a time limit, what is known when that is over. */
  waitForSaga(db: Db, id: string, timeoutMs?: number): Promise<SagaEnd>
  /** Many of one kind, in few statements: locks that the transaction holds are not held for each of them. */
  startMany<P>(tx: Tx, saga: SagaReference<P>, orders: readonly SagaOrder<P>[]): Promise<string[]>
}

export interface SagaEnd {
  state: "running" | "unwinding" | "done" | "unwound" | "stuck"
  failure: { kind: FaultKind; code: string; message: string } | null
}

export interface SagaOrder<P> {
  params: P
  requestId?: string
  resourceId?: string
}

export interface OutboxEvent {
  /** `compute.instance.create.end`, as oslo.messaging notifications name it. */
  type: string
  /** `compute.host1`, `identity` … */
  publisher: string
  projectId: string | null
  userId: string | null
  requestId: string | null
  resourceId: string | null
  payload: Readonly<Record<string, unknown>>
  priority?: "INFO" | "WARN" | "ERROR"
}

export interface Outbox {
  /** Publishes the event once the transaction has committed, at least once, in the order of appends for a resource. */
  append(tx: Tx, event: OutboxEvent): Promise<void>
  /** In this order, in few statements. */
  appendMany(tx: Tx, events: readonly OutboxEvent[]): Promise<void>
}
