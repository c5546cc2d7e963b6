// Events for users and other programs: rows in the transaction that made them happen, published at least once
// (publisher.ts), and followed live.
import { randomUUID } from "node:crypto"
import type { Outbox } from "../../platform/context/durable.ts"
import { afterCommit, type Db } from "../../platform/db/database.ts"
import { gather } from "../../platform/db/gather.ts"
import { Fault } from "../../platform/fault/fault.ts"
import type { EnginePartsWithDb } from "../parts.ts"
import type { StoredEvent } from "./notification.ts"
import { Publisher, placedTopic } from "./publisher.ts"
import { lastPosition, newEvents, readEvents } from "./store.ts"

export interface OutboxRunner extends Outbox {
  /** Begins to publish, until the handle is disposed. */
  publish(): Promise<AsyncDisposable>
  /** What an operator is to know of it, in words; null: nothing. */
  problem(db: Db): Promise<string | null>
  /**
   * Events after a position, live, in order; without one, those from now on. Ends with the signal. Kept events go
   * back as far as `engine.outboxKeepMs`.
   */
  tail(options: { after?: number; signal: AbortSignal }): AsyncGenerator<StoredEvent, void, undefined>
}

export function createOutbox(options: EnginePartsWithDb): OutboxRunner {
  const publisher = new Publisher(options)
  let streams = 0
  const appendMany: Outbox["appendMany"] = async (tx, events) => {
    if (events.length === 0) return
    gather(
      tx,
      newEvents,
      events.map((event) => ({ ...event, messageId: randomUUID() })),
    )
    afterCommit(tx, () => publisher.announce())
  }
  return {
    append: (tx, event) => appendMany(tx, [event]),
    appendMany,
    publish: () => publisher.work(),
    problem: (db) => publisher.problem(db),
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

async function* follow(options: EnginePartsWithDb, after: number | undefined, signal: AbortSignal) {
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
