// What every saga must stand, of whatever service: each step twice, each undo twice, a failure at each step before
// and after its work, and a worker that wakes in the middle of any of them when another has the saga. Each saga has a
// case in its service's testing/saga-cases.ts.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { sql } from "kysely"
import { createMemoryBus } from "../../platform/bus/memory-bus.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Db, type Tx, transact } from "../../platform/db/database.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { createSagaRunner } from "./runner.ts"
import { type AnyStep, type Saga, type StepContext, WithLog } from "./saga.ts"

export interface SagaCase<P> extends AsyncDisposable {
  platform: Platform
  saga: Saga<P>
  /** Brings rows and world to where the operation that starts the saga leaves them. */
  arrange: () => Promise<P>
  assertDone: (params: P) => Promise<void>
  assertUnwound: (params: P, failedStep: string) => Promise<void>
}

export interface HarnessOptions {
  /** Steps after which the saga can only go forward; a failure there is not tried. */
  pointOfNoReturn?: string
}

/** Registers the tests. `open` makes a fresh case for each of them. */
export function sagaHarness<P>(
  saga: Pick<Saga<P>, "name" | "steps">,
  open: () => Promise<SagaCase<P>>,
  options: HarnessOptions = {},
): void {
  const names = saga.steps.map((step) => step.name)
  const last = options.pointOfNoReturn ? names.indexOf(options.pointOfNoReturn) : names.length
  describe(`saga ${saga.name}`, () => {
    test("goes through", async () => await runCase(open, {}, "done"))
    test("goes through with each step run twice", async () => await runCase(open, { doTimes: 2 }, "done"))
    for (const step of names) {
      test(`a worker that has lost its lease changes no row in ${step}`, async () => {
        await runCase(open, { loseLeaseIn: step }, "done")
      })
    }
    for (const [i, { name: step, definition }] of saga.steps.slice(0, last).entries()) {
      if (definition.undo) {
        test(`a worker that has lost its lease changes no row in the undo of ${step}`, async () => {
          const failAt = names[Math.min(i + 1, last - 1)] ?? step
          await runCase(open, { loseLeaseInUndo: step, failAt, when: "after" }, "unwound")
        })
      }
      for (const when of ["before", "after"] as const) {
        test(`unwinds when ${step} fails ${when} its work`, async () => {
          await runCase(open, { failAt: step, when }, "unwound")
        })
      }
      test(`unwinds when ${step} fails, with each undo run twice`, async () => {
        await runCase(open, { failAt: step, when: "after", undoTimes: 2 }, "unwound")
      })
    }
  })
}

interface Rig {
  doTimes?: number
  undoTimes?: number
  failAt?: string
  when?: "before" | "after"
  loseLeaseIn?: string
  loseLeaseInUndo?: string
}

async function runCase<P>(
  open: () => Promise<SagaCase<P>>,
  rig: Rig,
  expected: "done" | "unwound",
): Promise<void> {
  await using opened = await open()
  const { platform } = opened
  const rigged = rigSaga(opened.saga, rig, platform.db)
  const runner = createSagaRunner({
    // What a worker has lost is taken up at once: some hundred cases wait for that.
    config: { ...platform.config.engine, sagaPollMs: 20 },
    // Of its own: the rigged saga is nobody else's business.
    bus: createMemoryBus(platform.log),
    clock: platform.clock,
    log: platform.log,
  })
  await using _working = await runner.work(platform, [rigged])
  const params = await opened.arrange()
  const id = await transact(platform.db, (tx) => runner.start(tx, rigged, params))
  const result = await runner.waitForSaga(platform.db, id)
  assert.equal(changedWithoutLease.get(id), undefined, "a table that was changed without the lease")
  const why = result.lastError ?? result.failure?.message ?? "no error"
  assert.equal(result.state, expected, `the saga is ${result.state}: ${why}`)
  if (expected === "done") await opened.assertDone(params)
  else await opened.assertUnwound(params, rig.failAt ?? "")
}

/** The same saga under another name, so that no other worker of the platform takes it. */
export function rigSaga<P>(saga: Saga<P>, rig: Rig, db: Db): Saga<P> {
  return { ...saga, name: `${saga.name}.rigged`, steps: saga.steps.map((step) => rigStep(step, rig, db)) }
}

/** What the step gives, its rows committed. */
export async function stepResult(
  s: Pick<StepContext<unknown, unknown>, "ctx">,
  result: unknown,
): Promise<unknown> {
  return result instanceof WithLog ? await transact(s.ctx.db, (tx) => result.run(tx)) : result
}

/** The end of a step whose log was lost: rows that would have committed with it are lost as well. */
async function withoutLog(s: Pick<StepContext<unknown, unknown>, "ctx">, result: unknown): Promise<void> {
  if (!(result instanceof WithLog)) return
  const lost = new Error("lost")
  const run = async (tx: Tx) => {
    await result.run(tx)
    throw lost
  }
  await transact(s.ctx.db, run).catch((error: unknown) => {
    if (error !== lost) throw error
  })
}

function rigStep(step: AnyStep, rig: Rig, db: Db): AnyStep {
  const { do: doIt, undo, ...rest } = step.definition
  const failsNow = (when: "before" | "after") => rig.failAt === step.name && rig.when === when
  const fail = () => {
    throw new Fault("conflict", "engine.harness", `The harness lets ${step.name} fail.`)
  }
  return {
    name: step.name,
    definition: {
      ...rest,
      do: async (s) => {
        if (failsNow("before")) fail()
        if (rig.loseLeaseIn === step.name && s.fence === 1) return await runWithoutLease(db, s, () => doIt(s))
        for (let n = 1; n < (rig.doTimes ?? 1); n++) await withoutLog(s, await doIt(s))
        const result: unknown = await doIt(s)
        if (!failsNow("after")) return result
        await withoutLog(s, result)
        return fail()
      },
      ...(undo
        ? {
            undo: async (s) => {
              if (rig.loseLeaseInUndo === step.name && s.fence === 1)
                return await runWithoutLease(db, s, () => undo(s))
              for (let n = 1; n < (rig.undoTimes ?? 1); n++) await withoutLog(s, await undo(s))
              return await undo(s)
            },
          }
        : {}),
    },
  }
}

/** Another worker takes the saga just before; then this one may read, and write nothing. */
async function runWithoutLease(
  db: Db,
  s: StepContext<unknown, unknown>,
  run: () => unknown,
): Promise<WithLog<unknown> | undefined> {
  await sql`
    update engine.saga set fence = fence + 1, lease_until = now() + interval '1 h' where id = ${s.sagaId}
  `.execute(db)
  const before = await rowsOf(db)
  try {
    const result = await run()
    return result instanceof WithLog ? result : undefined
  } catch (error) {
    // Refused, as it should be; or the world outside did not have it.
    s.log.info({ err: error }, "without its lease the step threw")
    throw error
  } finally {
    for (const [table, sum] of Object.entries(await rowsOf(db)))
      if (sum !== before[table]) changedWithoutLease.set(s.sagaId, table)
    // To be taken up again, by the next fence.
    await sql`update engine.saga set owner = null, lease_until = null where id = ${s.sagaId}`.execute(db)
  }
}

/** Tables that a saga changed without its lease, by its id. */
const changedWithoutLease = new Map<string, string>()

/**
 * Of these tables without what comes by itself: the network's engine tells of ports, hosts tell of their pools,
 * reconcilers note what they have tried for what earlier cases have left.
 */
const withoutReports: Readonly<Record<string, string>> = {
  "network.port": "(to_jsonb(t) - 'status' - 'updated_at')::text",
  "block_storage.backup_data": "(to_jsonb(t) - 'removed_at' - 'tried_at')::text",
  "block_storage.connection": "(to_jsonb(t) - 'tried_at')::text",
  "block_storage.leftover": "(to_jsonb(t) - 'tried_at')::text",
  "block_storage.pool": "(to_jsonb(t) - 'total_bytes' - 'free_bytes' - 'abilities' - 'reported_at')::text",
}

/**
 * A sum of every table's rows. Without the engine's own, which tell of the taking over itself; `public`, which has none
 * of the program; and what hosts and services report of themselves meanwhile.
 */
async function rowsOf(db: Db): Promise<Record<string, string>> {
  const { rows: tables } = await sql<{ name: string }>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema', 'engine', 'public')
      and (schemaname, tablename) not in (('compute', 'host'), ('compute', 'control_service'), ('network', 'agent'),
        ('image', 'cache_host'))
  `.execute(db)
  const sums: Record<string, string> = {}
  for (const { name } of tables) {
    const row = sql.raw(withoutReports[name] ?? "t::text")
    const { rows } = await sql<{ sum: string }>`
      select md5(coalesce(string_agg(md5(${row}), '' order by md5(${row})), '')) as sum from ${sql.raw(name)} t
    `.execute(db)
    sums[name] = rows[0]?.sum ?? ""
  }
  return sums
}
