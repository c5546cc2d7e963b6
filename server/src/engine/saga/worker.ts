// What one process holds of the sagas: claims, heartbeats, and the end of its life. See runner.ts for the rules.
import { randomUUID } from "node:crypto"
import type { Platform } from "../../platform/context/context.ts"
import type { SagaReference } from "../../platform/context/durable.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { Interruption } from "../attempt.ts"
import { Loop } from "../loop.ts"
import type { EngineParts } from "../parts.ts"
import { newProgress } from "./progress.ts"
import { runSaga, type WriteProbe } from "./run.ts"
import type { AnySaga } from "./saga.ts"
import {
  claimSagas,
  countUnknownSagas,
  type LogEvent,
  pruneSagas,
  readLogs,
  releaseAll,
  renewLeases,
  type SagaRow,
} from "./store.ts"
import type { Waiters } from "./waiters.ts"

const pruneBatch = 1_000
/** More than this wait for their leases to run out. */
const leftMost = 1_000

export interface SagaRunnerOptions extends EngineParts {
  probe?: WriteProbe
  /** No other process runs sagas of this cloud: what a dead one left is taken at once, without waiting for its lease. */
  isOnlyWorker?: boolean
}

interface Held {
  readonly row: SagaRow
  readonly interrupt: AbortController
  readonly ended: Promise<void>
}

export class SagaWorker {
  /** Of this life of the process, so that what an earlier life held is not mistaken for ours. */
  readonly owner = randomUUID()
  readonly #options: SagaRunnerOptions
  readonly #platform: Platform
  readonly #waiters: Waiters
  readonly #sagas: ReadonlyMap<string, AnySaga>
  readonly #held = new Map<string, Held>()
  /** Recorded as ours in transactions that may still be open, with the time up to which that may be believed. */
  readonly #starting = new Map<string, number>()
  /** Left in the middle because the database was away; ours to take up as soon as it is back. */
  readonly #left = new Set<string>()
  readonly #loops: { claim: Loop; heartbeat: Loop; prune: Loop; unknown: Loop }
  readonly #stopped = new AbortController()
  #renewedAtMs: number
  #mayHaveMore = false

  constructor(options: SagaRunnerOptions, platform: Platform, sagas: readonly AnySaga[], waiters: Waiters) {
    this.#options = options
    this.#platform = platform
    this.#waiters = waiters
    this.#sagas = new Map(sagas.map((saga) => [keyOf(saga), saga]))
    if (this.#sagas.size !== sagas.length) throw new Error("two sagas have the same name and version")
    this.#renewedAtMs = options.clock.monotonicMs()
    const { sagaPollMs, sagaLeaseMs, pruneEveryMs, sagaKeepMs } = options.config
    const { clock, log } = options
    const loop = (name: string, intervalMs: number, body: () => Promise<boolean | undefined>) =>
      new Loop({
        name,
        intervalMs,
        clock,
        log,
        body,
        isFirstLater: name !== "saga.claim" && name !== "saga.unknown",
      })
    this.#loops = {
      claim: loop("saga.claim", sagaPollMs, () => this.#claim()),
      heartbeat: loop("saga.heartbeat", sagaLeaseMs / 3, () => this.#renew()),
      unknown: loop("saga.unknown", pruneEveryMs, () => this.#tellUnknown()),
      prune: loop("saga.prune", pruneEveryMs, async () => {
        return (await pruneSagas(platform.db, sagaKeepMs, pruneBatch)) === pruneBatch
      }),
    }
  }

  get size(): number {
    return this.#held.size
  }

  get known(): readonly AnySaga[] {
    return [...this.#sagas.values()]
  }

  poke(): void {
    this.#loops.claim.poke()
  }

  /** Whether this process will run that saga itself, right after the commit of the transaction that starts it. */
  reserve(id: string, saga: SagaReference<unknown>): boolean {
    if (this.#stopped.signal.aborted || this.firstNode(saga) === undefined) return false
    const isFirst = this.#sagas.get(keyOf(saga))?.goesFirst === true
    if (this.#places() <= (isFirst ? -this.#options.config.sagaConcurrency : 0)) {
      this.#mayHaveMore = true
      return false
    }
    this.#starting.set(id, this.#options.clock.monotonicMs() + this.#options.config.sagaLeaseMs / 2)
    return true
  }

  /** How many more may run; those that are about to start have theirs already. */
  #places(): number {
    const now = this.#options.clock.monotonicMs()
    // Those of transactions that were rolled back; the oldest come first.
    for (const [old, until] of this.#starting) {
      if (until > now) break
      this.#starting.delete(old)
    }
    return this.#options.config.sagaConcurrency - this.#held.size - this.#starting.size
  }

  firstNode(saga: SagaReference<unknown>): string | undefined {
    return this.#sagas.get(keyOf(saga))?.steps[0]?.name
  }

  /** Runs a saga that was recorded as ours; when its transaction took too long, another may have it by now. */
  beginReserved(row: SagaRow, events: readonly LogEvent[]): void {
    const until = this.#starting.get(row.id) ?? 0
    this.#starting.delete(row.id)
    if (until > this.#options.clock.monotonicMs()) this.#begin(row, events)
    else this.poke()
  }

  #begin(row: SagaRow, events: readonly LogEvent[]): void {
    const saga = this.#sagas.get(keyOf(row))
    if (!saga || this.#stopped.signal.aborted) return
    const before = this.#held.get(row.id)
    if (before) {
      // Claimed anew while a run of ours still goes on, whose lease had run out: first that one must stop.
      loseLease(before.interrupt)
      this.#left.add(row.id)
      return
    }
    const interrupt = new AbortController()
    const ended = this.#run(saga, row, events, interrupt.signal)
    this.#held.set(row.id, { row, interrupt, ended })
  }

  async #run(
    saga: AnySaga,
    row: SagaRow,
    events: readonly LogEvent[],
    interrupt: AbortSignal,
  ): Promise<void> {
    const log = this.#options.log.child({ saga: saga.name, sagaId: row.id, requestId: row.request_id })
    // After this turn, so that `begin` has noted it.
    await Promise.resolve()
    try {
      const end = await runSaga({
        platform: this.#platform,
        config: this.#options.config,
        log,
        saga,
        row,
        progress: newProgress(events),
        interrupt,
        isStopping: () => this.#stopped.signal.aborted,
        probe: this.#options.probe,
      })
      if (end.kind === "lost") log.warn({ fence: row.fence }, "another worker owns this saga now")
      if (end.kind === "waiting") this.#wakeIn(end.waitMs)
    } catch (error) {
      // The database is away, so the log says what it says.
      if (this.#left.size < leftMost) this.#left.add(row.id)
      log.warn({ error: describeError(error) }, "saga left in the middle; it will be taken up from its log")
    } finally {
      this.#held.delete(row.id)
      this.#waiters.wake(row.id)
      if (this.#mayHaveMore) this.poke()
    }
  }

  async #tellUnknown(): Promise<undefined> {
    for (const unknown of await countUnknownSagas(this.#platform.db, [...this.#sagas.values()]))
      this.#options.log.error(
        { alarm: "saga_unknown", ...unknown },
        "this program does not know these sagas, so they do not go on: run the one that began them to their end",
      )
  }

  #wakeIn(waitMs: number): void {
    const { clock } = this.#options
    // A little later than the database's clock was told.
    void clock.sleep(waitMs + 2, this.#stopped.signal).then(
      () => this.poke(),
      () => {},
    )
  }

  async #claim(): Promise<boolean> {
    const { config, log } = this.#options
    const limit = this.#places()
    this.#mayHaveMore = limit <= 0
    if (limit <= 0 || this.#sagas.size === 0) return false
    const { db } = this.#platform
    const left = [...this.#left]
    const rows = await claimSagas(db, {
      owner: this.owner,
      leaseMs: config.sagaLeaseMs,
      held: [...this.#held.keys()],
      left,
      known: [...this.#sagas.values()],
      limit,
    })
    // Those that did not come are another worker's now.
    for (const id of left) this.#left.delete(id)
    if (rows.length === 0) return false
    const events = Map.groupBy(
      await readLogs(
        db,
        rows.map((row) => row.id),
      ),
      (event) => event.sagaId,
    )
    for (const row of rows) {
      if (row.fence > 1) log.info({ saga: row.name, sagaId: row.id, fence: row.fence }, "saga taken up")
      this.#begin(row, events.get(row.id) ?? [])
    }
    return rows.length === limit
  }

  async #renew(): Promise<undefined> {
    const { config, clock, log } = this.#options
    const held = [...this.#held.values()]
    const askedAtMs = clock.monotonicMs()
    if (held.length > 0) {
      try {
        const pairs = held.map(({ row }) => ({ id: row.id, fence: row.fence }))
        const ours = await renewLeases(this.#options.leaseDb ?? this.#platform.db, pairs, config.sagaLeaseMs)
        for (const [i, { row, interrupt }] of held.entries()) {
          // A fence that rose meanwhile was raised by our own run.
          if (!ours.has(row.id) && row.fence === pairs[i]?.fence) loseLease(interrupt)
        }
      } catch (error) {
        log.warn({ error: describeError(error) }, "saga leases could not be renewed")
        if (askedAtMs - this.#renewedAtMs < config.sagaLeaseMs) return
        for (const { interrupt } of held) loseLease(interrupt)
        return
      }
    }
    this.#renewedAtMs = askedAtMs
  }

  async whenIdle(): Promise<void> {
    while (this.#held.size > 0) await Promise.all([...this.#held.values()].map((held) => held.ended))
  }

  /** No new steps; running ones may end within the grace, then they are told to; then all is given back. */
  async stop(): Promise<void> {
    const { config, clock } = this.#options
    this.#stopped.abort()
    await Promise.all([this.#loops.claim.stop(), this.#loops.prune.stop(), this.#loops.unknown.stop()])
    const graceOver = new AbortController()
    const grace = clock.sleep(config.stopGraceMs, graceOver.signal).catch(() => {})
    await Promise.race([this.whenIdle(), grace])
    graceOver.abort()
    const reason: Interruption = "stopping"
    for (const { interrupt } of this.#held.values()) interrupt.abort(reason)
    await this.whenIdle()
    await this.#loops.heartbeat.stop()
    try {
      await releaseAll(this.#platform.db, this.owner)
    } catch (error) {
      // Their leases run out; another worker takes them up.
      this.#options.log.warn({ error: describeError(error) }, "sagas could not be given back")
    }
  }
}

function loseLease(interrupt: AbortController): void {
  const reason: Interruption = "lease_lost"
  interrupt.abort(reason)
}

function keyOf(saga: { name: string; version: number }): string {
  return `${saga.name}@${saga.version}`
}
