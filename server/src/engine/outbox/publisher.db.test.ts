import assert from "node:assert/strict"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { test } from "node:test"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { transact } from "../../platform/db/database.ts"
import { type TestPlatform, type TestPlatformOptions, testPlatform } from "../testing/platform.ts"
import type { Notification } from "./notification.ts"

const childFile = new URL("../testing/publisher-child.ts", import.meta.url).pathname
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)

async function append(platform: TestPlatform, events: readonly number[]): Promise<void> {
  await transact(platform.db, (tx) =>
    platform.outbox.appendMany(
      tx,
      events.map((n) => ({
        type: "compute.instance.update",
        publisher: "compute.host1",
        projectId: "p1",
        userId: null,
        requestId: null,
        resourceId: "server-1",
        payload: { n },
      })),
    ),
  )
}

async function publishedPosition(database: TestDatabase): Promise<number> {
  const { rows } = await database.pool.query("select position from engine.outbox_published")
  return rows[0].position
}

/** A broker that the test answers for: each notification waits until its number is confirmed or refused. */
function brokerByHand(platform: TestPlatform) {
  const publish = platform.bus.publish.bind(platform.bus)
  const told: number[] = []
  const waiting = new Map<number, PromiseWithResolvers<void>>()
  platform.bus.publish = async (topic, message) => {
    if (!topic.startsWith("notifications.")) return await publish(topic, message)
    const n = Number((message as Notification).payload.n)
    told.push(n)
    const answer = Promise.withResolvers<void>()
    waiting.set(n, answer)
    await answer.promise
  }
  return {
    told,
    confirm: (n: number) => waiting.get(n)?.resolve(),
    refuse: (n: number) => waiting.get(n)?.reject(new Error("no room")),
  }
}

async function slowPlatform(options: TestPlatformOptions = {}) {
  const database = await openTestDatabase()
  const platform = testPlatform(database.db, options)
  return { database, platform, broker: brokerByHand(platform) }
}

interface ChildPublisher extends AsyncDisposable {
  readonly process: ChildProcess
  readonly told: number[]
  hasLostLease(): boolean
}

function startPublisher(database: TestDatabase): ChildPublisher {
  const child = fork(childFile, [database.connectionString], {
    execArgv: ["--disable-warning=ExperimentalWarning"],
  })
  const told: number[] = []
  let hasLost = false
  child.on("message", (said) => {
    if (said === "lost") hasLost = true
    else told.push(Number(said))
  })
  return {
    process: child,
    told,
    hasLostLease: () => hasLost,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, "exit")
      child.kill("SIGKILL")
      await gone
    },
  }
}

test("a broker that is slow to confirm holds no transaction, and all of a batch is on its way at once", async () => {
  const { database, platform, broker } = await slowPlatform()
  await using _database = database
  await append(platform, numbers(0, 20))
  await using _publishing = await platform.outbox.publish()
  await eventually("the whole batch to be sent", () => broker.told.length === 20)
  assert.deepEqual(broker.told, numbers(0, 20))
  await eventually("no transaction to be open", async () => {
    const { rows } = await database.pool.query(`select from pg_stat_activity
      where datname = current_database() and application_name = 'kumoi' and xact_start is not null
        and pid <> pg_backend_pid()`)
    return rows.length === 0
  })
  assert.equal(await publishedPosition(database), 0)
  // In any order, as a broker does.
  for (const n of numbers(0, 20).reverse()) broker.confirm(n)
  await eventually("the position", async () => (await publishedPosition(database)) === 20)
})

test("the lease lasts as long as a slow broker needs", async () => {
  const { database, platform, broker } = await slowPlatform({ config: { outboxLeaseMs: 300 } })
  await using _database = database
  const other = testPlatform(database.db, { config: { outboxLeaseMs: 300 } })
  const fromOther = brokerByHand(other)
  await append(platform, [0])
  await using _publishing = await platform.outbox.publish()
  await eventually("the event to be sent", () => broker.told.length === 1)
  const leaseEnd = async () => {
    const { rows } = await database.pool.query("select lease_until from engine.outbox_published")
    return Number(rows[0].lease_until)
  }
  const first = await leaseEnd()
  await using _other = await other.outbox.publish()
  await eventually("three leases to be over", async () => (await leaseEnd()) > first + 900)
  broker.confirm(0)
  await eventually("the position", async () => (await publishedPosition(database)) === 1)
  assert.deepEqual([broker.told, fromOther.told], [[0], []])
})

test("after one that is refused, all is published again from there", async () => {
  const { database, platform, broker } = await slowPlatform()
  await using _database = database
  await append(platform, numbers(0, 5))
  await using _publishing = await platform.outbox.publish()
  await eventually("the batch", () => broker.told.length === 5)
  broker.refuse(2)
  for (const n of [0, 1, 3, 4]) broker.confirm(n)
  await eventually("the rest once more", () => broker.told.length === 8)
  assert.equal(await publishedPosition(database), 2)
  assert.deepEqual(broker.told.slice(5), [2, 3, 4])
  for (const n of [2, 3, 4]) broker.confirm(n)
  await eventually("the position", async () => (await publishedPosition(database)) === 5)
})

test("events that wait for long are told of, with the reason, until they are confirmed", async () => {
  const { database, platform, broker } = await slowPlatform({
    config: { outboxAlarmMs: 400, outboxPollMs: 100 },
  })
  await using _database = database
  const problem = async () => await platform.outbox.problem(database.db)
  await using _publishing = await platform.outbox.publish()
  assert.equal(await problem(), null)
  await append(platform, numbers(0, 3))
  await eventually("the batch", () => broker.told.length === 3)
  for (const n of numbers(0, 3)) broker.refuse(n)
  await eventually("the batch once more", () => broker.told.length >= 6)
  const words = await eventually("the alarm", problem)
  assert.match(words, /^3 events wait since \d{4}-\S+Z for the broker to confirm them: Error: no room$/)
  for (const n of numbers(0, 3)) broker.confirm(n)
  await eventually("the position", async () => (await publishedPosition(database)) === 3)
  assert.equal(await problem(), null)
})

test("one that stops does not wait for ever for the broker, and keeps what was confirmed", async () => {
  const { database, platform, broker } = await slowPlatform({ config: { stopGraceMs: 50 } })
  await using _database = database
  await append(platform, numbers(0, 3))
  const publishing = await platform.outbox.publish()
  await eventually("the batch", () => broker.told.length === 3)
  broker.confirm(0)
  await publishing[Symbol.asyncDispose]()
  assert.equal(await publishedPosition(database), 1)
  // The lease is given back, so the next one need not wait for its end.
  const { rows } = await database.pool.query("select owner, lease_until from engine.outbox_published")
  assert.deepEqual(rows, [{ owner: null, lease_until: null }])
})

test("what a publisher had sent when it was killed is published again", async () => {
  await using database = await openTestDatabase()
  const platform = testPlatform(database.db)
  await append(platform, numbers(0, 10))
  await using child = startPublisher(database)
  await eventually("the batch to be sent", () => child.told.length === 10)
  await child[Symbol.asyncDispose]()
  assert.equal(child.process.signalCode, "SIGKILL")
  assert.equal(await publishedPosition(database), 0)
  const broker = brokerByHand(platform)
  await using _publishing = await platform.outbox.publish()
  await eventually("all of them again", () => broker.told.length === 10)
  assert.deepEqual(broker.told, numbers(0, 10))
  for (const n of numbers(0, 10)) broker.confirm(n)
  await eventually("the position", async () => (await publishedPosition(database)) === 10)
})

for (const when of ["while the next one is in its turn", "when the next one has gone on"]) {
  test(`a publisher that slept beyond its lease and wakes ${when} does not move the position`, async () => {
    await using database = await openTestDatabase()
    const platform = testPlatform(database.db)
    await append(platform, numbers(0, 10))
    await using child = startPublisher(database)
    await eventually("the batch to be sent", () => child.told.length === 10)
    child.process.kill("SIGSTOP")
    const broker = brokerByHand(platform)
    await using _publishing = await platform.outbox.publish()
    await eventually("the next one to publish them", () => broker.told.length === 10)
    let expected = 0
    if (when === "when the next one has gone on") {
      for (const n of numbers(0, 10)) broker.confirm(n)
      await append(platform, numbers(10, 12))
      await eventually("the next batch", () => broker.told.length === 12)
      for (const n of numbers(10, 12)) broker.confirm(n)
      expected = 12
      await eventually("the position", async () => (await publishedPosition(database)) === expected)
    }
    child.process.send("confirm")
    child.process.kill("SIGCONT")
    // For it, ten are published now.
    await eventually("it to see that its lease is lost", () => child.hasLostLease())
    assert.equal(await publishedPosition(database), expected)
    for (const n of numbers(0, 10)) broker.confirm(n)
    await eventually(
      "the position",
      async () => (await publishedPosition(database)) === Math.max(expected, 10),
    )
    await append(platform, [20])
    await eventually("the last one", () => [...broker.told, ...child.told].includes(20))
    broker.confirm(20)
    const last = expected === 0 ? 11 : 13
    await eventually("the end", async () => (await publishedPosition(database)) === last)
  })
}
