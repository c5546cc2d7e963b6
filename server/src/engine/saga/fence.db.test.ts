// Rows that a step changes by itself, after another worker has taken the saga over: they stay as they are.
import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { openTestDatabase, type TestDatabase } from "../../../test/database.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { testPlatform } from "../testing/platform.ts"
import { type AnySaga, type StepContext, saga, withLog } from "./saga.ts"

interface Held {
  entered: PromiseWithResolvers<void>
  goOn: PromiseWithResolvers<void>
}

const held = (): Held => ({ entered: Promise.withResolvers(), goOn: Promise.withResolvers() })

async function openNotes() {
  const database = await openTestDatabase()
  await database.pool.query("create table public.note (text text)")
  return database
}

async function note(tx: Tx, text: string): Promise<void> {
  await sql`insert into public.note values (${text})`.execute(tx)
}

async function notesOf(database: TestDatabase): Promise<string[]> {
  const { rows } = await database.pool.query<{ text: string }>("select text from public.note order by text")
  return rows.map((row) => row.text)
}

/** As if another worker had taken the saga over. */
async function takeAway(database: TestDatabase, id: string): Promise<void> {
  await database.pool.query(
    `update engine.saga set fence = fence + 1, owner = 'another', lease_until = now() + interval '1 h' where id = $1`,
    [id],
  )
}

async function giveBack(database: TestDatabase, id: string): Promise<void> {
  await database.pool.query("update engine.saga set owner = null, lease_until = null where id = $1", [id])
}

async function start(database: TestDatabase, made: AnySaga, config = {}) {
  const platform = testPlatform(database.db, { config: { sagaPollMs: 20, ...config } })
  const working = await platform.sagas.work(platform, [made])
  const id = await transact(database.db, (tx) => platform.sagas.start(tx, made, null))
  return { platform, working, id }
}

type Write = (s: StepContext<unknown, object>, text: string) => unknown

const writes: Record<string, Write> = {
  "s.transact": (s, text) => s.transact((tx) => note(tx, text)),
  "a function that begins its own transaction": (s, text) => transact(s.ctx.db, (tx) => note(tx, text)),
  withLog: (_, text) => withLog((tx) => note(tx, text)),
}

for (const [name, write] of Object.entries(writes)) {
  for (const node of ["do", "undo", "onUnwound"] as const) {
    test(`${name} in ${node} changes nothing after the lease is lost, and all once it is ours`, async () => {
      await using database = await openNotes()
      const { entered, goOn } = held()
      let runs = 0
      const late = async (s: StepContext<unknown, object>) => {
        if (runs++ > 0) return (await write(s, "second")) as undefined
        entered.resolve()
        await goOn.promise
        return (await write(s, "first")) as undefined
      }
      const fail = () => {
        throw new Error("told to fail")
      }
      const made = saga<null>("test.fenced", 1)
        .step("a", node === "do" ? { do: late } : { do: fail, ...(node === "undo" ? { undo: late } : {}) })
        .onUnwound(async (s) => (node === "onUnwound" ? await late(s) : undefined))
      const { platform, working, id } = await start(database, made)
      await using _working = working
      await entered.promise
      await takeAway(database, id)
      goOn.resolve()
      await platform.sagas.whenIdle()
      assert.deepEqual(await notesOf(database), [])
      await giveBack(database, id)
      const { state } = await platform.sagas.waitForSaga(database.db, id)
      assert.equal(state, node === "do" ? "done" : "unwound")
      assert.deepEqual(await notesOf(database), ["second"])
    })
  }
}

test("while a step's transaction is open nobody takes the saga over, and its lease is renewed", async () => {
  await using database = await openNotes()
  const { entered, goOn } = held()
  const fences: number[] = []
  const made = saga<null>("test.open", 1).step("a", {
    do: async (s) => {
      fences.push(s.fence)
      await s.transact(async (tx) => {
        await note(tx, "first")
        entered.resolve()
        await goOn.promise
      })
    },
  })
  const { platform, working, id } = await start(database, made, { sagaLeaseMs: 600 })
  await using _working = working
  await entered.promise
  const other = testPlatform(database.db, { config: { sagaPollMs: 20 } })
  await using _other = await other.sagas.work(other, [made])
  const leaseOf = async () => {
    const { rows } = await database.pool.query("select lease_until from engine.saga where id = $1", [id])
    return rows[0].lease_until as Date
  }
  const before = await leaseOf()
  await eventually("the lease to be renewed beside the open transaction", async () => {
    return (await leaseOf()) > before
  })
  // Even when the lease is over: the other worker leaves the row alone until the transaction has ended.
  await database.pool.query("update engine.saga set lease_until = now() - interval '1 s' where id = $1", [id])
  await eventually("some looks of the other worker", looksOf(other))
  assert.deepEqual(fences, [1])
  goOn.resolve()
  assert.equal((await platform.sagas.waitForSaga(database.db, id)).state, "done")
})

/** Wakes the worker some times, each of which makes it look for sagas that are due. */
function looksOf(platform: ReturnType<typeof testPlatform>) {
  let looks = 0
  return async () => {
    await platform.bus.publish("engine.saga.wake", {})
    return ++looks > 5
  }
}

test("a step that was left behind writes nothing more, not even with its log", async () => {
  await using database = await openNotes()
  const { entered, goOn } = held()
  const ended = Promise.withResolvers<void>()
  const undone = Promise.withResolvers<void>()
  const made = saga<null>("test.left_behind", 1)
    .step("a", {
      timeoutMs: 20,
      do: async () => {
        entered.resolve()
        await goOn.promise
        return withLog(async (tx) => {
          await note(tx, "late")
          ended.resolve()
        })
      },
      undo: async () => {
        goOn.resolve()
        await ended.promise
        await undone.promise
      },
    })
    .onUnwound(async () => {})
  const { platform, working, id } = await start(database, made)
  await using _working = working
  await ended.promise
  undone.resolve()
  const { state, fence } = await platform.sagas.waitForSaga(database.db, id)
  assert.equal(state, "unwound")
  assert.ok(fence > 1)
  assert.deepEqual(await notesOf(database), [])
})

test("the end of an undo and of onUnwound is written with their rows, once", async () => {
  await using database = await openNotes()
  const made = saga<null>("test.ends", 1)
    .step("a", { do: () => 1, undo: () => withLog((tx) => note(tx, "undo a")) })
    .step("b", {
      do: () => {
        throw new Error("told to fail")
      },
      undo: () => withLog((tx) => note(tx, "undo b")),
    })
    .onUnwound(async () => withLog((tx) => note(tx, "unwound")))
  const { platform, working, id } = await start(database, made)
  await using _working = working
  assert.equal((await platform.sagas.waitForSaga(database.db, id)).state, "unwound")
  assert.deepEqual(await notesOf(database), ["undo a", "undo b", "unwound"])
})

test("a step whose output cannot be kept fails as any other", async () => {
  await using database = await openNotes()
  const made = saga<null>("test.big", 1).step("a", { do: () => 1n })
  const { platform, working, id } = await start(database, made)
  await using _working = working
  const { state, failure } = await platform.sagas.waitForSaga(database.db, id)
  assert.equal(state, "unwound")
  assert.equal(failure?.kind, "bug")
})

test("a step that writes outside a transaction fails: nothing would assert its fence", async () => {
  await using database = await openNotes()
  const made = saga<null>("test.bare", 1).step("a", {
    do: async (s) => {
      await sql`select text from public.note`.execute(s.ctx.db)
      await sql`insert into public.note values ('bare')`.execute(s.ctx.db)
    },
  })
  const { platform, working, id } = await start(database, made)
  await using _working = working
  assert.equal((await platform.sagas.waitForSaga(database.db, id)).state, "unwound")
  assert.deepEqual(await notesOf(database), [])
})
