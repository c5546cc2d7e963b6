import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import type { OutboxEvent } from "../../platform/context/durable.ts"
import { type Db, openDatabase, transact } from "../../platform/db/database.ts"
import { type TestPlatform, testPlatform } from "../testing/platform.ts"
import type { Notification, StoredEvent } from "./notification.ts"
import { pruneEvents } from "./store.ts"

function event(n: number, more: Partial<OutboxEvent> = {}): OutboxEvent {
  return {
    type: "compute.instance.create.end",
    publisher: "compute.host1",
    projectId: "p1",
    userId: "u1",
    requestId: "req-1",
    resourceId: "server-1",
    payload: { n },
    ...more,
  }
}

async function append(platform: TestPlatform, made: OutboxEvent): Promise<void> {
  await transact(platform.db, (tx) => platform.outbox.append(tx, made))
}

async function listen(platform: TestPlatform, topic = "notifications.info") {
  const heard: Notification[] = []
  const subscription = await platform.bus.subscribe(topic, (message) => {
    heard.push(message as Notification) // published by the outbox
  })
  return { heard, [Symbol.asyncDispose]: () => subscription[Symbol.asyncDispose]() }
}

test("an event is published once its transaction has committed, in the form of oslo.messaging", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await using _publishing = await platform.outbox.publish()
  await using info = await listen(platform)
  await using errors = await listen(platform, "notifications.error")
  await append(platform, event(1))
  await append(platform, event(2, { priority: "ERROR" }))
  await eventually("both", () => info.heard.length === 1 && errors.heard.length === 1)
  const [told] = info.heard
  assert.ok(told)
  assert.match(told.message_id, /^[0-9a-f-]{36}$/)
  assert.match(told.timestamp, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$/)
  assert.equal(told.publisher_id, "compute.host1")
  assert.equal(told.event_type, "compute.instance.create.end")
  assert.equal(told.priority, "INFO")
  assert.deepEqual(told.payload, { n: 1 })
  assert.equal(told._context_request_id, "req-1")
  assert.equal(told._context_project_id, "p1")
  assert.equal(errors.heard[0]?.priority, "ERROR")
})

test("a transaction that is rolled back tells nothing", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await using _publishing = await platform.outbox.publish()
  await using info = await listen(platform)
  const failing = transact(platform.db, async (tx) => {
    await platform.outbox.append(tx, event(1))
    throw new Error("no")
  })
  await assert.rejects(failing, /no/)
  await append(platform, event(2))
  await eventually("the second", () => info.heard.length > 0)
  assert.deepEqual(
    info.heard.map((told) => told.payload.n),
    [2],
  )
})

test("more than a batch comes in order, also what was written while nobody published", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db, { config: { outboxBatch: 7 } })
  await using info = await listen(platform)
  for (let n = 0; n < 30; n++) await append(platform, event(n))
  await using _publishing = await platform.outbox.publish()
  await eventually("all", () => info.heard.length === 30)
  assert.deepEqual(
    info.heard.map((told) => told.payload.n),
    Array.from({ length: 30 }, (_, n) => n),
  )
})

test("an event whose transaction commits late is not lost, to subscribers and to streams", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await using _publishing = await platform.outbox.publish()
  await using info = await listen(platform)
  const hasWritten = Promise.withResolvers<void>()
  const mayCommit = Promise.withResolvers<void>()
  const late = transact(platform.db, async (tx) => {
    await platform.outbox.append(tx, event(1, { resourceId: "late" }))
    hasWritten.resolve()
    await mayCommit.promise
  })
  await hasWritten.promise
  // Its id is higher, and it is seen first.
  await append(platform, event(2, { resourceId: "other" }))
  await eventually("the other", () => info.heard.length === 1)
  const seen = await take(platform, 0, 1)
  mayCommit.resolve()
  await late
  await eventually("the late one", () => info.heard.length === 2)
  const rest = await take(platform, seen[0]?.position ?? -1, 1)
  assert.deepEqual(
    [...seen, ...rest].map((e) => e.payload.n),
    [2, 1],
  )
})

test("what cannot be published stays, and is published when the bus is back", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  const publish = platform.bus.publish.bind(platform.bus)
  let isAway = true
  platform.bus.publish = async (topic, message) => {
    if (isAway && topic.startsWith("notifications.")) throw new Error("the broker is away")
    await publish(topic, message)
  }
  await using _publishing = await platform.outbox.publish()
  await using info = await listen(platform)
  await append(platform, event(1))
  // A live stream does not need the broker.
  assert.equal((await take(platform, 0, 1)).length, 1)
  assert.equal(info.heard.length, 0)
  isAway = false
  await eventually("the event", () => info.heard.length === 1)
})

test("two publishers do not publish twice", async () => {
  await using database = await openTestDatabase()
  const { db } = openDatabase({ connectionString: database.connectionString })
  try {
    const first = testPlatform(database.db)
    const second = testPlatform(db)
    await using _first = await first.outbox.publish()
    await using _second = await second.outbox.publish()
    await using info = await listen(first)
    await using other = await listen(second)
    for (let n = 0; n < 20; n++) await append(n % 2 === 0 ? first : second, event(n))
    await eventually("all", () => info.heard.length + other.heard.length >= 20)
    const ids = [...info.heard, ...other.heard].map((told) => told.message_id)
    assert.equal(new Set(ids).size, 20)
    assert.equal(ids.length, 20)
  } finally {
    await db.destroy()
  }
})

test("a stream follows live and ends with its signal", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await using _publishing = await platform.outbox.publish()
  await append(platform, event(0))
  await take(platform, 0, 1)
  const ended = new AbortController()
  const seen: unknown[] = []
  const opened = Promise.withResolvers<void>()
  const following = (async () => {
    const stream = platform.outbox.tail({ after: 1, signal: ended.signal })
    opened.resolve()
    for await (const told of stream) seen.push(told.payload.n)
  })()
  await opened.promise
  for (let n = 1; n < 5; n++) await append(platform, event(n))
  await eventually("all", () => seen.length === 4)
  ended.abort()
  await following
  assert.deepEqual(seen, [1, 2, 3, 4])
})

test("old events go once they are published, and not before", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await append(platform, event(1))
  assert.equal(await pruneEvents(database.db, 0, 10), 0)
  await using _publishing = await platform.outbox.publish()
  await eventually("its end", async () => (await pruneEvents(database.db, 0, 10)) === 1)
  assert.equal(await countEvents(database.db), 0)
})

async function countEvents(db: Db): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) from engine.outbox_event`.execute(db)
  return rows[0]?.count ?? -1
}

async function take(platform: TestPlatform, after: number, count: number): Promise<StoredEvent[]> {
  const ended = new AbortController()
  const events: StoredEvent[] = []
  for await (const told of platform.outbox.tail({ after, signal: ended.signal })) {
    events.push(told)
    if (events.length === count) ended.abort()
  }
  return events
}
