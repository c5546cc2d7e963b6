// Publishes what transactions have appended, at least once, one publisher in the whole cloud at a time.
//
// It gathers for a moment, takes its turn and places what has become visible (store.ts), in one short transaction; then
// publishes the batch in order, all confirmations awaited together; then says how far it came, if the turn is still its
// own. Nothing of the database is held while the broker answers. A publisher that dies or sleeps in its turn is
// followed by another once its lease is over, from where the last turn ended: some are published twice, none is left
// out, and consumers go by message_id. What cannot be published is placed nevertheless, as live streams do not need the
// broker.
import { randomUUID } from "node:crypto"
import type { Bus } from "../../platform/bus/bus.ts"
import { type Db, transact } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import "../config.ts" // declares the section where a program makes this
import { Loop } from "../loop.ts"
import type { EnginePartsWithDb } from "../parts.ts"
import { notificationTopic, type StoredEvent, toNotification } from "./notification.ts"
import {
  endTurn,
  placeEvents,
  pruneEvents,
  readEvents,
  readWaiting,
  renewTurn,
  type Turn,
  takeTurn,
} from "./store.ts"

/** Tells publishers that there are new events. */
const appendedTopic = "engine.outbox.appended"
/** Tells live streams that events were placed. */
export const placedTopic = "engine.outbox.placed"
const pruneBatch = 1_000
/** More are not counted. */
const countMost = 1_000

export class Publisher {
  readonly #options: EnginePartsWithDb
  readonly #owner = randomUUID()
  #loop: Loop | undefined
  /** Why the last batch did not come to its end; null when it did. */
  #lastError: string | null = null

  constructor(options: EnginePartsWithDb) {
    this.#options = options
  }

  announce(): void {
    if (this.#loop) this.#loop.poke()
    else void this.#options.bus.publish(appendedTopic, {}).catch(() => {}) // publishers also look by themselves
  }

  async work(): Promise<AsyncDisposable> {
    if (this.#loop) throw new Error("this outbox publishes already")
    const { db, config, clock, log, bus } = this.#options
    const loop = new Loop({
      name: "outbox.publish",
      intervalMs: config.outboxPollMs,
      clock,
      log,
      body: (signal) => this.#publishBatch(signal),
    })
    const prune = new Loop({
      name: "outbox.prune",
      intervalMs: config.pruneEveryMs,
      clock,
      log,
      body: async () => (await pruneEvents(db, config.outboxKeepMs, pruneBatch)) === pruneBatch,
      isFirstLater: true,
    })
    this.#loop = loop
    const subscription = await bus.subscribe(appendedTopic, () => loop.poke())
    return {
      [Symbol.asyncDispose]: async () => {
        await subscription[Symbol.asyncDispose]()
        this.#loop = undefined
        await Promise.all([loop.stop(), prune.stop()])
      },
    }
  }

  /** What an operator is to know: events that wait for the broker for long. Null: nothing. */
  async problem(db: Db): Promise<string | null> {
    const { clock, config } = this.#options
    const waiting = await readWaiting(db, countMost)
    if (!waiting || clock.now().getTime() - waiting.since.getTime() < config.outboxAlarmMs) return null
    const { count, since } = waiting
    const events = count < countMost ? `${count} events wait` : `${countMost} events or more wait`
    const why = this.#lastError === null ? "" : `: ${this.#lastError}`
    return `${events} since ${since.toISOString()} for the broker to confirm them${why}`
  }

  /** True when there may be more. */
  async #publishBatch(stop: AbortSignal): Promise<boolean> {
    const { db, bus, clock, config } = this.#options
    if (config.outboxGatherMs > 0) await clock.sleep(config.outboxGatherMs, stop).catch(() => {})
    const taken = await transact(db, async (tx) => {
      const turn = await takeTurn(tx, this.#owner, config.outboxLeaseMs)
      if (!turn) return null
      const placed = await placeEvents(tx, config.outboxBatch)
      return { turn, placed, events: await readEvents(tx, turn.position, config.outboxBatch) }
    })
    if (!taken) return false
    const { turn, placed, events } = taken
    if (placed > 0) void bus.publish(placedTopic, {}).catch(() => {}) // streams also look by themselves
    await this.#publishInTurn(turn, events, stop)
    return placed === config.outboxBatch || events.length === config.outboxBatch
  }

  async #publishInTurn(turn: Turn, events: readonly StoredEvent[], stop: AbortSignal): Promise<void> {
    const { db, leaseDb, bus, clock, config, log } = this.#options
    const giveUp = new AbortController()
    const lease = new Loop({
      name: "lease of outbox.publish",
      intervalMs: config.outboxLeaseMs / 3,
      clock,
      log,
      isFirstLater: true,
      body: async () => {
        if (!(await renewTurn(leaseDb ?? db, turn, config.outboxLeaseMs))) giveUp.abort()
        return false
      },
    })
    const onStop = () =>
      void clock.sleep(config.stopGraceMs, giveUp.signal).then(
        () => giveUp.abort(),
        () => {},
      )
    stop.addEventListener("abort", onStop, { once: true })
    if (stop.aborted) onStop()
    try {
      const { confirmed, problem } = await publishTogether(bus, events, giveUp.signal)
      const position = events[confirmed - 1]?.position ?? turn.position
      if (!(await endTurn(db, turn, position)))
        log.warn(
          { fence: turn.fence },
          "the outbox's lease was lost; another process publishes these events again",
        )
      this.#lastError = problem ? describeError(problem.error) : null
      if (problem) throw problem.error
    } finally {
      stop.removeEventListener("abort", onStop)
      giveUp.abort()
      await lease.stop()
    }
  }
}

/** How many, from the first on, the broker has confirmed, and what went wrong with the next one. */
async function publishTogether(bus: Bus, events: readonly StoredEvent[], giveUp: AbortSignal) {
  let confirmed = 0
  let problem: { error: unknown } | null = null
  const given = Promise.withResolvers<void>()
  giveUp.addEventListener("abort", () => given.resolve(), { once: true })
  const sent = events.map((event) => bus.publish(notificationTopic(event.priority), toNotification(event)))
  const counted = (async () => {
    try {
      for (const one of sent) {
        await one
        confirmed++
      }
    } catch (error) {
      problem = { error }
    }
  })()
  // Also for those after a refused one: the next batch is not to begin while some of this one are on their way.
  await Promise.race([Promise.allSettled([...sent, counted]), given.promise])
  return { confirmed, problem: problem as { error: unknown } | null }
}
