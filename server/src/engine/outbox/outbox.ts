// Events for users and other programs: rows in the transaction that made them happen, published at least once.
//
// One publisher in the whole cloud at a time. It gathers for a moment, places what has become visible (store.ts),
// publishes in order, notes how far it came, and commits all that at once: events come by the handful, and their
// publication is not to cost more than what they tell of. A crash before the commit publishes some twice; consumers
// go by message_id. What cannot be published is placed nevertheless, as live streams do not need the broker.
import { randomUUID } from "node:crypto"
import type { Bus } from "../../platform/bus/bus.ts"
import type { Clock } from "../../platform/clock/clock.ts"
import type { Outbox } from "../../platform/context/durable.ts"
import { afterCommit, type Db, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import type { EngineConfig } from "../config.ts"
import "../config.ts" // declares the section where a program makes this
import { Loop } from "../loop.ts"
import { notificationTopic, type StoredEvent, toNotification } from "./notification.ts"
import {
  insertEvents,
  lastPosition,
  lockPublished,
  markPublished,
  placeEvents,
  pruneEvents,
  readEvents,
} from "./store.ts"

/** Tells publishers that there are new events, and live streams that events were placed. */
const appendedTopic = "engine.outbox.appended"
const placedTopic = "engine.outbox.placed"
const pruneBatch = 1_000

export interface OutboxOptions {
  db: Db
  config: EngineConfig
  bus: Bus
  clock: Clock
  log: Logger
}

export interface OutboxRunner extends Outbox {
  /** Begins to publish, until the handle is disposed. */
  publish(): Promise<AsyncDisposable>
  /**
   * Events after a position, live, in order; without one, those from now on. Ends with the signal. Kept events go
   * back as far as `engine.outboxKeepMs`.
   */
  tail(options: { after?: number; signal: AbortSignal }): AsyncGenerator<StoredEvent, void, undefined>
}

export function createOutbox(options: OutboxOptions): OutboxRunner {
  const publisher = new Publisher(options)
  let streams = 0
  const appendMany: Outbox["appendMany"] = async (tx, events) => {
    if (events.length === 0) return
    await insertEvents(
      tx,
      events.map((event) => ({ ...event, messageId: randomUUID() })),
    )
    afterCommit(tx, () => publisher.announce())
  }
  return {
    append: (tx, event) => appendMany(tx, [event]),
    appendMany,
    publish: () => publisher.work(),
    async *tail({ after, signal }) {
      if (streams >= options.config.outboxSubscribersMost) throw tooManyStreams(streams)
      streams++
      try {
        yield* follow(options, after, signal)
      } finally {
        streams--
      }
    },
  }
}

function tooManyStreams(count: number): Fault {
  return new Fault("unavailable", "engine.too_many_streams", `There are ${count} event streams already.`)
}

async function* follow(options: OutboxOptions, after: number | undefined, signal: AbortSignal) {
  const { db, bus, config, clock } = options
  let wake = () => {}
  await using _placed = await bus.subscribe(placedTopic, () => wake())
  const onAbort = () => wake()
  signal.addEventListener("abort", onAbort, { once: true })
  try {
    let position = after ?? (await lastPosition(db))
    while (!signal.aborted) {
      // Listening begins before the look, so nothing falls in between.
      const woken = new Promise<void>((resolve) => {
        wake = resolve
      })
      const events = await readEvents(db, position, config.outboxBatch)
      for (const event of events) {
        if (signal.aborted) return
        yield event
        position = event.position
      }
      if (events.length > 0) continue
      const pause = new AbortController()
      await Promise.race([woken, clock.sleep(config.outboxPollMs, pause.signal).catch(() => {})])
      pause.abort()
    }
  } finally {
    signal.removeEventListener("abort", onAbort)
  }
}

class Publisher {
  readonly #options: OutboxOptions
  #loop: Loop | undefined

  constructor(options: OutboxOptions) {
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

  /** True when there may be more. */
  async #publishBatch(signal: AbortSignal): Promise<boolean> {
    const { db, bus, clock, config } = this.#options
    if (config.outboxGatherMs > 0) await clock.sleep(config.outboxGatherMs, signal).catch(() => {})
    const { placed, events, problem } = await transact(db, async (tx) => {
      const position = await lockPublished(tx)
      if (position === null) return { placed: 0, events: [], problem: null }
      const placed = await placeEvents(tx, config.outboxBatch)
      const events = await readEvents(tx, position, config.outboxBatch)
      const { last, problem } = await this.#publishEach(events)
      if (last) await markPublished(tx, last.position)
      return { placed, events, problem }
    })
    if (placed > 0) void bus.publish(placedTopic, {}).catch(() => {}) // streams also look by themselves
    if (problem) throw problem.error
    return placed === config.outboxBatch || events.length === config.outboxBatch
  }

  /** The last one that was published, and what went wrong after it. */
  async #publishEach(events: readonly StoredEvent[]) {
    let last: StoredEvent | undefined
    try {
      for (const event of events) {
        await this.#options.bus.publish(notificationTopic(event.priority), toNotification(event))
        last = event
      }
      return { last, problem: null }
    } catch (error) {
      return { last, problem: { error } }
    }
  }
}
