// What every saga must stand, of whatever service: each step twice, each undo twice, a failure at each step before
// and after its work. A service calls `sagaHarness` in a test of its own for each saga that it has.
import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { createMemoryBus } from "../../platform/bus/memory-bus.ts"
import type { Platform } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
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
    for (const step of names.slice(0, last)) {
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
}

async function runCase<P>(
  open: () => Promise<SagaCase<P>>,
  rig: Rig,
  expected: "done" | "unwound",
): Promise<void> {
  await using opened = await open()
  const { platform } = opened
  const rigged = rigSaga(opened.saga, rig)
  const runner = createSagaRunner({
    config: platform.config.engine,
    // Of its own: the rigged saga is nobody else's business.
    bus: createMemoryBus(platform.log),
    clock: platform.clock,
    log: platform.log,
  })
  await using _working = await runner.work(platform, [rigged])
  const params = await opened.arrange()
  const id = await transact(platform.db, (tx) => runner.start(tx, rigged, params))
  const result = await runner.waitForSaga(platform.db, id)
  const why = result.lastError ?? result.failure?.message ?? "no error"
  assert.equal(result.state, expected, `the saga is ${result.state}: ${why}`)
  if (expected === "done") await opened.assertDone(params)
  else await opened.assertUnwound(params, rig.failAt ?? "")
}

/** The same saga under another name, so that no other worker of the platform takes it. */
export function rigSaga<P>(saga: Saga<P>, rig: Rig): Saga<P> {
  return { ...saga, name: `${saga.name}.rigged`, steps: saga.steps.map((step) => rigStep(step, rig)) }
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

function rigStep(step: AnyStep, rig: Rig): AnyStep {
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
        for (let n = 1; n < (rig.doTimes ?? 1); n++) await withoutLog(s, await doIt(s))
        const result: unknown = await doIt(s)
        if (!failsNow("after")) return result
        await withoutLog(s, result)
        return fail()
      },
      ...(undo
        ? {
            undo: async (s) => {
              for (let n = 0; n < (rig.undoTimes ?? 1); n++) await undo(s)
            },
          }
        : {}),
    },
  }
}
