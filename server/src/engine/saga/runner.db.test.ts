import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { type Db, openDatabase, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Logger, silentLogger } from "../../platform/log/log.ts"
import { type TestPlatform, type TestPlatformOptions, testPlatform } from "../testing/platform.ts"
import type { AnySaga, SagaFailure } from "./saga.ts"
import { saga } from "./saga.ts"
import { claimSagas, listTroubledSagas, readSagaHistory, resumeStuckSaga, writeLog } from "./store.ts"

async function begin(db: Db, sagas: readonly AnySaga[], options: TestPlatformOptions = {}) {
  const platform = testPlatform(db, options)
  return { platform, working: await platform.sagas.work(platform, sagas) }
}

async function startSaga<P>(platform: TestPlatform, made: AnySaga, params: P): Promise<string> {
  return await transact(platform.db, (tx) => platform.sagas.start(tx, made, params))
}

test("steps run in order, each sees the outputs before it, and the log is whole", async () => {
  await using database = await openTestDatabase()
  const seen: unknown[] = []
  const sum = saga<{ a: number }>("test.sum", 1)
    .step("one", { do: (s) => ({ value: s.params.a + 1, at: new Date(0) }) })
    .step("two", { do: (s) => s.out.one.value * 10 })
    .step("three", {
      do: (s) => {
        seen.push(s.params, s.out, s.fence, s.ctx.requestId, s.ctx.caller.userId)
      },
    })
  const { platform, working } = await begin(database.db, [sum])
  await using _working = working
  const id = await transact(platform.db, (tx) => {
    return platform.sagas.start(tx, sum, { a: 1 }, { requestId: "req-1", resourceId: "r" })
  })
  assert.equal((await platform.sagas.waitForSaga(platform.db, id)).state, "done")
  // A date has become text: the same as after a crash.
  const out = { one: { value: 2, at: "1970-01-01T00:00:00.000Z" }, two: 20 }
  assert.deepEqual(seen, [{ a: 1 }, out, 1, "req-1", "kumoi"])
  const log = await database.pool.query("select node, kind from engine.saga_event order by at, kind desc")
  assert.deepEqual(
    log.rows.map((row) => `${row.node} ${row.kind}`),
    ["one do_started", "one do_done", "two do_started", "two do_done", "three do_started", "three do_done"],
  )
})

test("a saga that this program does not know is told of, and left as it is", async () => {
  await using database = await openTestDatabase()
  const known = saga<null>("test.known", 2).step("a", { do: () => {} })
  const older = saga<null>("test.known", 1).step("b", { do: () => {} })
  const before = testPlatform(database.db)
  const id = await transact(database.db, (tx) => before.sagas.start(tx, older, null))
  const { platform, working } = await begin(database.db, [known])
  await using _working = working
  assert.deepEqual(await platform.sagas.problems(database.db), [
    "1 of test.known@1, which this program does not know",
  ])
  const row = await database.pool.query("select state, fence from engine.saga where id = $1", [id])
  assert.deepEqual(row.rows, [{ state: "running", fence: 0 }])
})

test("a transaction that is rolled back starts nothing", async () => {
  await using database = await openTestDatabase()
  let ran = 0
  const once = saga<null>("test.once", 1).step("a", { do: () => void ran++ })
  const { platform, working } = await begin(database.db, [once])
  await using _working = working
  const failing = transact(platform.db, async (tx) => {
    await platform.sagas.start(tx, once, null)
    throw new Error("no")
  })
  await assert.rejects(failing, /no/)
  // One that is started after it has run, so the first would have too.
  await platform.sagas.waitForSaga(platform.db, await startSaga(platform, once, null))
  assert.equal(ran, 1)
})

test("a step that fails unwinds in reverse, the failed one too", async () => {
  await using database = await openTestDatabase()
  const undone: string[] = []
  let failure: SagaFailure | undefined
  const undo = (name: string) => () => void undone.push(name)
  const failing = saga<null>("test.fail", 1)
    .step("a", { do: () => 1, undo: undo("a") })
    .step("no-undo", { do: () => 2 })
    .step("b", {
      do: () => {
        throw new Fault("no_capacity", "test.full", "No room.")
      },
      undo: undo("b"),
    })
    .step("never", { do: () => assert.fail("must not run"), undo: undo("never") })
    .onUnwound(async (s) => {
      failure = s.failure
    })
  const { platform, working } = await begin(database.db, [failing])
  await using _working = working
  const result = await platform.sagas.waitForSaga(platform.db, await startSaga(platform, failing, null))
  assert.equal(result.state, "unwound")
  assert.deepEqual(undone, ["b", "a"])
  assert.deepEqual(failure, { step: "b", kind: "no_capacity", code: "test.full", message: "No room." })
  assert.deepEqual(result.failure, failure)
})

test("what is unavailable is tried again, within a bound", async () => {
  await using database = await openTestDatabase()
  let tries = 0
  const away = (text: string) => new Fault("unavailable", "test.away", text)
  const comesBack = saga<null>("test.back", 1).step("a", {
    do: () => {
      if (++tries < 3) throw away("away for a while")
    },
  })
  let tried = 0
  const staysAway = saga<null>("test.away", 1).step("a", {
    do: () => {
      tried++
      throw away("away for good")
    },
  })
  const { platform, working } = await begin(database.db, [comesBack, staysAway])
  await using _working = working
  const first = await startSaga(platform, comesBack, null)
  assert.equal((await platform.sagas.waitForSaga(platform.db, first)).state, "done")
  assert.equal(tries, 3)
  const second = await startSaga(platform, staysAway, null)
  const result = await platform.sagas.waitForSaga(platform.db, second)
  assert.equal(result.state, "unwound")
  assert.equal(result.failure?.code, "test.away")
  assert.equal(tried, platform.config.engine.sagaDoAttemptsMost)
})

test("an undo that cannot leaves the saga stuck, seen by operators, until it is resumed", async () => {
  await using database = await openTestDatabase()
  let isMended = false
  let tries = 0
  const clings = saga<null>("test.clings", 1)
    .step("a", {
      do: () => 1,
      undo: () => {
        tries++
        if (!isMended) throw new Error("the shelf is jammed")
      },
    })
    .step("b", {
      do: () => {
        throw new Error("no")
      },
    })
  const { platform, working } = await begin(database.db, [clings])
  await using _working = working
  const id = await startSaga(platform, clings, null)
  assert.equal((await platform.sagas.waitForSaga(platform.db, id)).state, "stuck")
  assert.equal(tries, platform.config.engine.sagaUndoAttemptsMost)
  const [stuck] = await listTroubledSagas(platform.db, 10)
  assert.equal(stuck?.id, id)
  assert.match(stuck?.lastError ?? "", /jammed/)
  const history = await readSagaHistory(platform.db, id)
  const kinds = history?.events.map(({ kind }) => kind)
  assert.deepEqual(kinds, ["do_started", "do_done", "do_started", "do_failed", "undo_started"])
  isMended = true
  assert.ok(await resumeStuckSaga(platform.db, id))
  assert.equal((await platform.sagas.waitForSaga(platform.db, id)).state, "unwound")
})

test("an undo waits for what is away as long as that takes, tells of it, and goes on when it is back", async () => {
  await using database = await openTestDatabase()
  let isAway = true
  let undone = 0
  const alarms: string[] = []
  const log: Logger = {
    ...silentLogger,
    child: () => log,
    error: (fields: { alarm?: string }) => void alarms.push(fields.alarm ?? "none"),
  } as unknown as Logger // the runner uses no more of it
  const waits = saga<null>("test.waits", 1)
    .step("a", {
      do: () => 1,
      undo: () => {
        if (isAway) throw new Fault("unavailable", "test.away", "the host is away")
        undone++
      },
    })
    .step("b", {
      do: () => {
        throw new Error("no")
      },
    })
  const { platform, working } = await begin(database.db, [waits], { log })
  await using _working = working
  const id = await startSaga(platform, waits, null)
  const { sagaUndoAttemptsMost, sagaWaitAlarm } = platform.config.engine
  const most = Math.max(sagaUndoAttemptsMost, sagaWaitAlarm) * 2
  const row = async () => {
    const { rows } = await database.pool.query("select state, waits, attempts, last_error from engine.saga")
    return rows[0]
  }
  await eventually("many tries", async () => (await row()).waits > most)
  const found = await row()
  assert.equal(found.state, "unwinding")
  assert.equal(found.attempts, 0)
  assert.match(found.last_error, /the host is away/)
  assert.ok(alarms.includes("saga_waits"))
  assert.match((await platform.sagas.problems(database.db)).join(), /1 waiting since .*: .*the host is away/)
  isAway = false
  assert.equal((await platform.sagas.waitForSaga(platform.db, id)).state, "unwound")
  assert.equal(undone, 1)
  assert.deepEqual(await platform.sagas.problems(database.db), [])
})

test("a step that has no way back waits as well; a failure of another kind still ends it", async () => {
  await using database = await openTestDatabase()
  let tries = 0
  const patient = saga<null>("test.patient", 1).step("a", {
    waits: true,
    do: () => {
      if (++tries < 10) throw new Fault("unavailable", "test.away", "away")
    },
  })
  const choosy = saga<null>("test.choosy", 1).step("a", {
    waits: (fault) => fault.code === "test.away",
    do: () => {
      throw new Fault("unavailable", "test.other", "another")
    },
  })
  const { platform, working } = await begin(database.db, [patient, choosy])
  await using _working = working
  const waited = await platform.sagas.waitForSaga(platform.db, await startSaga(platform, patient, null))
  assert.equal(waited.state, "done")
  assert.ok(tries > platform.config.engine.sagaDoAttemptsMost)
  const gaveUp = await platform.sagas.waitForSaga(platform.db, await startSaga(platform, choosy, null))
  assert.equal(gaveUp.state, "unwound")
})

test("a step out of time is told, left behind when it does not hear, and its fence is stale then", async () => {
  await using database = await openTestDatabase()
  const deaf = Promise.withResolvers<void>()
  let wasTold = false
  const fences: number[] = []
  const slow = saga<null>("test.slow", 1).step("a", {
    timeoutMs: 50,
    do: async (s) => {
      fences.push(s.fence)
      s.signal.addEventListener("abort", () => {
        wasTold = true
      })
      await deaf.promise
    },
    undo: (s) => void fences.push(s.fence),
  })
  const { platform, working } = await begin(database.db, [slow])
  await using _working = working
  const result = await platform.sagas.waitForSaga(platform.db, await startSaga(platform, slow, null))
  assert.equal(result.state, "unwound")
  assert.equal(result.failure?.code, "engine.step_timeout")
  assert.ok(wasTold)
  assert.deepEqual(fences, [1, 2])
  deaf.resolve()
})

test("another process finds the saga that one without workers has started", async () => {
  await using database = await openTestDatabase()
  await using other = await openTestDatabaseAgain(database.connectionString)
  const hello = saga<string>("test.hello", 1).step("a", { do: (s) => `hello ${s.params}` })
  const caller = testPlatform(database.db)
  const id = await startSaga(caller, hello, "you")
  const { platform, working } = await begin(other.db, [hello])
  await using _working = working
  const result = await platform.sagas.waitForSaga(platform.db, id)
  assert.equal(result.state, "done")
  assert.equal(result.fence, 1)
})

test("a worker leaves alone what it does not know", async () => {
  await using database = await openTestDatabase()
  const v1 = saga<null>("test.versions", 1).step("a", { do: () => 1 })
  const v2 = saga<null>("test.versions", 2).step("a", { do: () => 2 })
  const { platform, working } = await begin(database.db, [v1])
  await using _working = working
  const future = await startSaga(platform, v2, null)
  const present = await startSaga(platform, v1, null)
  assert.equal((await platform.sagas.waitForSaga(platform.db, present)).state, "done")
  const other = await begin(database.db, [v1, v2])
  await using _other = other.working
  assert.equal((await platform.sagas.waitForSaga(platform.db, future)).state, "done")
})

test("no more run at once than the bound, and all run in the end", async () => {
  await using database = await openTestDatabase()
  let now = 0
  let most = 0
  const two = Promise.withResolvers<void>()
  const work = saga<null>("test.work", 1).step("a", {
    do: async () => {
      most = Math.max(most, ++now)
      // The first waits for a second: that they do run beside each other must not be left to chance.
      if (now > 1) two.resolve()
      await two.promise
      now--
    },
  })
  const { platform, working } = await begin(database.db, [work], { config: { sagaConcurrency: 3 } })
  await using _working = working
  // By one transaction and by many: those about to start count as well.
  const ofOne = await transact(platform.db, async (tx) => {
    const started: string[] = []
    for (let n = 0; n < 10; n++) started.push(await platform.sagas.start(tx, work, null))
    return started
  })
  const ofMany = await Promise.all(Array.from({ length: 20 }, () => startSaga(platform, work, null)))
  const ids = [...ofOne, ...ofMany]
  for (const id of ids) assert.equal((await platform.sagas.waitForSaga(platform.db, id)).state, "done")
  assert.ok(most > 1 && most <= 3, `${most} at once`)
})

test("a process that stops gives its sagas back after the step they are in", async () => {
  await using database = await openTestDatabase()
  const inStep = Promise.withResolvers<void>()
  const letGo = Promise.withResolvers<void>()
  const ran: string[] = []
  const long = saga<null>("test.long", 1)
    .step("a", {
      do: async () => {
        inStep.resolve()
        await letGo.promise
        ran.push("a")
      },
    })
    .step("b", { do: () => void ran.push("b") })
  const first = await begin(database.db, [long])
  const id = await startSaga(first.platform, long, null)
  await inStep.promise
  const stopped = first.working[Symbol.asyncDispose]()
  letGo.resolve()
  await stopped
  assert.deepEqual(ran, ["a"])
  const second = await begin(database.db, [long])
  await using _second = second.working
  assert.equal((await second.platform.sagas.waitForSaga(database.db, id)).state, "done")
  assert.deepEqual(ran, ["a", "b"])
})

test("a process that stops does not wait for a step that will not end", async () => {
  await using database = await openTestDatabase()
  const inStep = Promise.withResolvers<void>()
  const never = Promise.withResolvers<void>()
  let isFirst = true
  const endless = saga<null>("test.endless", 1).step("a", {
    do: async () => {
      if (!isFirst) return
      isFirst = false
      inStep.resolve()
      await never.promise
    },
  })
  const first = await begin(database.db, [endless], { config: { stopGraceMs: 30, sagaSettleMs: 30 } })
  const id = await startSaga(first.platform, endless, null)
  await inStep.promise
  await first.working[Symbol.asyncDispose]()
  const second = await begin(database.db, [endless])
  await using _second = second.working
  const result = await second.platform.sagas.waitForSaga(database.db, id)
  assert.equal(result.state, "done")
  assert.equal(result.fence, 2)
  never.resolve()
})

test("the heartbeat keeps a long step ours; without it another worker takes it", async () => {
  await using database = await openTestDatabase()
  const letGo = Promise.withResolvers<void>()
  const runs: number[] = []
  const long = saga<null>("test.lease", 1).step("a", {
    do: async (s) => {
      runs.push(s.fence)
      await letGo.promise
    },
  })
  const config = { sagaLeaseMs: 900, sagaPollMs: 20 }
  const first = await begin(database.db, [long], { config })
  await using _first = first.working
  const second = await begin(database.db, [long], { config })
  await using _second = second.working
  const id = await startSaga(first.platform, long, null)
  const renewed = async () => {
    const { rows } = await sql<{ since: number }>`
      select extract(epoch from clock_timestamp() - created_at)::float8 as since from engine.saga where id = ${id}
    `.execute(database.db)
    return (rows[0]?.since ?? 0) > 2
  }
  await eventually("two leases to pass", renewed)
  assert.deepEqual(runs, [1])
  // As if the first worker had been paused: its lease is over, and the second takes the saga. Again and again, as the
  // heartbeat of the first may still come in between.
  await eventually("another run", async () => {
    if (runs.length > 1) return true
    await sql`update engine.saga set lease_until = now() - interval '1 s' where fence = 1`.execute(
      database.db,
    )
    return false
  })
  assert.deepEqual(runs, [1, 2])
  letGo.resolve()
  assert.equal((await second.platform.sagas.waitForSaga(database.db, id)).state, "done")
})

test("leases are renewed while every connection for work is taken", async () => {
  await using database = await openTestDatabase()
  const leases = openDatabase({ connectionString: database.connectionString, poolMax: 1 })
  const letGo = Promise.withResolvers<void>()
  const fences: number[] = []
  const long = saga<null>("test.taken", 1).step("a", {
    do: async (s) => {
      fences.push(s.fence)
      await letGo.promise
    },
  })
  const work = openDatabase({
    connectionString: database.connectionString,
    poolMax: 2,
    connectionWaitMs: 100,
  })
  try {
    const options = { config: { sagaLeaseMs: 900, sagaPollMs: 20 }, leaseDb: leases.db }
    const { platform, working } = await begin(work.db, [long], options)
    await using _working = working
    const id = await startSaga(platform, long, null)
    await eventually("the step to run", () => fences.length === 1)
    const taken = [await work.pool.connect(), await work.pool.connect()]
    const leaseOf = async () => {
      const { rows } = await database.pool.query(
        "select lease_until, clock_timestamp() as now from engine.saga",
      )
      return rows[0] as { lease_until: Date; now: Date }
    }
    const until = (await leaseOf()).now.getTime() + 2_000
    await eventually("two leases to pass", async () => {
      const { lease_until, now } = await leaseOf()
      assert.ok(lease_until > now, "the lease is over")
      return now.getTime() > until
    })
    for (const client of taken) client.release()
    letGo.resolve()
    assert.equal((await platform.sagas.waitForSaga(database.db, id)).state, "done")
    assert.deepEqual(fences, [1])
  } finally {
    letGo.resolve()
    await Promise.all([leases.pool.end(), work.pool.end()])
  }
})

test("a write with an old fence writes nothing", async () => {
  await using database = await openTestDatabase()
  const made = saga<null>("test.fence", 1).step("a", { do: () => 1 })
  await startSaga(testPlatform(database.db), made, null)
  const known = [{ name: made.name, version: 1 }]
  const claim = (owner: string, leaseMs: number) =>
    claimSagas(database.db, { owner, leaseMs, held: [], left: [], known, limit: 9 })
  const [old] = await claim("first", 0)
  const [fresh] = await claim("second", 60_000)
  assert.deepEqual(await claim("third", 60_000), [])
  assert.ok(old && fresh && old.id === fresh.id && fresh.fence === old.fence + 1)
  const write = (fence: number) =>
    writeLog(database.db, {
      sagaId: old.id,
      fence,
      nextFence: fence,
      leaseMs: 1_000,
      events: [{ node: "a", kind: "do_started" }],
      failure: null,
      after: { kind: "keep", state: "running" },
    })
  assert.equal(await write(old.fence), false)
  const events = await database.pool.query("select from engine.saga_event")
  assert.equal(events.rowCount, 0)
  assert.equal(await write(fresh.fence), true)
})

test("many workers claim each saga once", async () => {
  await using database = await openTestDatabase()
  const made = saga<number>("test.race", 1).step("a", { do: () => 1 })
  const platform = testPlatform(database.db)
  for (let n = 0; n < 30; n++) await startSaga(platform, made, n)
  const known = [{ name: made.name, version: 1 }]
  const claims = Array.from({ length: 8 }, (_, n) =>
    claimSagas(database.db, { owner: `w${n}`, leaseMs: 60_000, held: [], left: [], known, limit: 10 }),
  )
  const ids = (await Promise.all(claims)).flat().map((row) => row.id)
  assert.equal(ids.length, new Set(ids).size)
  assert.ok(ids.length >= 20, `${ids.length} claimed`)
})

async function openTestDatabaseAgain(connectionString: string) {
  const { db } = openDatabase({ connectionString })
  return { db, [Symbol.asyncDispose]: () => db.destroy() }
}
