import assert from "node:assert/strict"
import { test } from "node:test"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import type { Db } from "../../platform/db/database.ts"
import { testPlatform } from "../testing/platform.ts"
import type { Reconciler } from "./reconciler.ts"
import { createReconcilerRunner, type ReconcilerRunner } from "./runner.ts"

const hourMs = 3_600_000

function reconciler(name: string, run: Reconciler["run"], more: Partial<Reconciler> = {}): Reconciler {
  return { name, intervalMs: hourMs, timeoutMs: 5_000, run, ...more }
}

async function begin(db: Db, reconcilers: readonly Reconciler[], config = {}) {
  const platform = testPlatform(db, { config })
  const { bus, clock, log } = platform
  const runner = createReconcilerRunner({ db, bus, clock, log, config: platform.config.engine })
  return { runner, working: await runner.work(platform, reconcilers) }
}

async function statusOf(runner: ReconcilerRunner, name: string) {
  const found = (await runner.status()).find((status) => status.name === name)
  assert.ok(found)
  return found
}

test("runs at start, tells its status, and runs again when poked", async () => {
  await using database = await openTestDatabase()
  let runs = 0
  const counts = reconciler("test.counts", async () => ({ runs: ++runs }))
  const { runner, working } = await begin(database.db, [counts])
  await using _working = working
  await eventually("the first run", async () => (await statusOf(runner, "test.counts")).runs === 1)
  runner.poke("test.counts")
  await eventually("the second run", async () => (await statusOf(runner, "test.counts")).runs === 2)
  const status = await statusOf(runner, "test.counts")
  assert.deepEqual(status.status, { runs: 2 })
  assert.equal(status.error, null)
  assert.equal(status.isRunning, false)
})

test("runs on its timer", async () => {
  await using database = await openTestDatabase()
  let runs = 0
  const ticks = reconciler("test.ticks", async () => ({ runs: ++runs }), { intervalMs: 20 })
  const { working } = await begin(database.db, [ticks])
  await using _working = working
  await eventually("some runs", () => runs >= 3)
})

test("pokes during a run cause one more run, not more and not fewer", async () => {
  await using database = await openTestDatabase()
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  let runs = 0
  const gated = reconciler("test.gated", async () => {
    await gates[runs++]?.promise
    return {}
  })
  const { runner, working } = await begin(database.db, [gated])
  await using _working = working
  await eventually("the first run", () => runs === 1)
  for (let n = 0; n < 5; n++) runner.poke("test.gated")
  gates[0]?.resolve()
  await eventually("the second run", () => runs === 2)
  gates[1]?.resolve()
  await eventually("its end", async () => (await statusOf(runner, "test.gated")).runs === 2)
  assert.equal(runs, 2)
  gates[2]?.resolve()
})

test("one run at a time across processes, and a poke of the other process is not lost", async () => {
  await using database = await openTestDatabase()
  let now = 0
  let most = 0
  let runs = 0
  const inRun = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  const alone = reconciler("test.alone", async () => {
    most = Math.max(most, ++now)
    if (++runs === 1) {
      inRun.resolve()
      await letGo.promise
    }
    now--
    return {}
  })
  const first = await begin(database.db, [alone])
  await using _first = first.working
  await inRun.promise
  // The second process wants its first run now: that is a poke while the run goes on.
  const second = await begin(database.db, [alone])
  await using _second = second.working
  const marked = async () => {
    const { rows } = await database.pool.query("select is_poked from engine.reconciler")
    return rows[0]?.is_poked === true
  }
  await eventually("the mark of the poke", marked)
  assert.equal(runs, 1)
  letGo.resolve()
  await eventually("the run that was asked for", () => runs === 2)
  assert.equal(most, 1)
})

test("a process that dies in a run holds up the next run no longer than its lease", async () => {
  await using database = await openTestDatabase()
  let runs = 0
  const next = reconciler("test.next", async () => ({ runs: ++runs }), { intervalMs: 20 })
  await database.pool.query(
    `insert into engine.reconciler (name, owner, fence, lease_until)
     values ('test.next', 'dead', 1, clock_timestamp() + interval '300 ms')`,
  )
  const { working } = await begin(database.db, [next])
  await using _working = working
  await eventually("a run", () => runs > 0)
  const { rows } = await database.pool.query(
    "select started_at > lease_until - interval '1 h' as ok, fence from engine.reconciler",
  )
  assert.ok(rows[0]?.fence > 1)
})

test("a run out of time is told to stop, its error is kept, and so is the last good status", async () => {
  await using database = await openTestDatabase()
  let runs = 0
  const slow = reconciler(
    "test.slow",
    async (_platform, signal) => {
      if (++runs === 1) return { good: true }
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))
      throw signal.reason
    },
    { timeoutMs: 50 },
  )
  const { runner, working } = await begin(database.db, [slow])
  await using _working = working
  await eventually("the first run", async () => (await statusOf(runner, "test.slow")).runs === 1)
  runner.poke("test.slow")
  await eventually("the second run", async () => (await statusOf(runner, "test.slow")).runs === 2)
  const status = await statusOf(runner, "test.slow")
  assert.match(status.error ?? "", /took longer than 50 ms/)
  assert.deepEqual(status.status, { good: true })
})

test("stopping tells a run to stop and waits for it", async () => {
  await using database = await openTestDatabase()
  const inRun = Promise.withResolvers<void>()
  let hasEnded = false
  const long = reconciler("test.long", async (_platform, signal) => {
    inRun.resolve()
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }))
    hasEnded = true
    return {}
  })
  const { working } = await begin(database.db, [long])
  await inRun.promise
  await working[Symbol.asyncDispose]()
  assert.ok(hasEnded)
})
