// Who works: the lock on the database, how its loss is noticed, and how one that is silent is replaced.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { LockSeeker } from "../src/launch/control-host/lock.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { openEmptyDatabase, type TestDatabase } from "./database.ts"

let database: TestDatabase

before(async () => {
  database = await openEmptyDatabase()
})
after(async () => await database?.[Symbol.asyncDispose]())

const seekerOf = (host: string, leaseMs = 60_000) =>
  new LockSeeker({ url: database.connectionString, host, address: "192.0.2.7", leaseMs })

test("one has it, the others know who, and the next has it when it is given back", async () => {
  await using first = seekerOf("host1")
  await using second = seekerOf("host2")
  const held = await first.take()
  assert.ok(held)
  assert.equal(await second.take(), null)
  const holder = await second.holder()
  assert.deepEqual([holder?.host, holder?.address], ["host1", "192.0.2.7"])
  assert.equal(await second.endSilent(), null, "it has just said that it works")
  await held[Symbol.asyncDispose]()
  const next = await eventually("the lock", () => second.take())
  await using _next = next
  assert.equal((await first.holder())?.host, "host2")
})

test("whoever loses the connection hears that the lock is lost", async () => {
  await using first = seekerOf("host1")
  const held = await eventually("the lock", () => first.take())
  await database.pool.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1 and datname = current_database()",
    ["kumoi works: 192.0.2.7 host1"],
  )
  assert.match(await held.lost, /terminat|ended/)
  await using second = seekerOf("host2")
  await using _next = await eventually("the lock", () => second.take())
})

test("one that says nothing for the lease loses it to the next", async () => {
  // Its process stands still, and its connection is there: nothing is said on it.
  await using silent = seekerOf("host1")
  const client = await silent.connected()
  await client.query("select pg_advisory_lock(hashtextextended('kumoi.cloud', 0))")
  const ended = new Promise<void>((resolve) => client.once("end", resolve))
  client.on("error", () => {})
  await using patient = seekerOf("host2")
  assert.equal(await patient.take(), null)
  assert.equal(await patient.endSilent(), null, "its lease is long")
  await using next = seekerOf("host3", 1)
  const found = await eventually("its silence", () => next.endSilent())
  assert.equal(found.host, "host1")
  await ended
  await using _held = await eventually("the lock", () => next.take())
})

test("a session that is no control host's is left alone", async () => {
  await using stranger = await database.pool.connect().then((client) => ({
    client,
    [Symbol.asyncDispose]: async () => client.release(true),
  }))
  await stranger.client.query("select pg_advisory_lock(hashtextextended('kumoi.cloud', 0))")
  await using seeker = seekerOf("host1", 1)
  assert.equal(await seeker.take(), null)
  assert.equal(await seeker.holder(), null)
  assert.equal(await seeker.endSilent(), null)
})
