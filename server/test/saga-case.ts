// A case of a saga: how its operation leaves the rows, and what must be there at its end and after its unwinding. The
// operation itself begins it, with a starter that keeps the parameters and starts nothing.
import assert from "node:assert/strict"
import { createSagaRunner, type SagaRunner } from "../src/engine/saga/runner.ts"
import type { Saga } from "../src/engine/saga/saga.ts"
import { internalCaller } from "../src/platform/auth/caller.ts"
import { createMemoryBus } from "../src/platform/bus/memory-bus.ts"
import { type Ctx, makeCtx, type Platform } from "../src/platform/context/context.ts"
import { transact } from "../src/platform/db/database.ts"
import { newRequestId, newUuid } from "../src/platform/ids/ids.ts"
import type { ServerCloud } from "./server-cloud.ts"

// biome-ignore lint/suspicious/noExplicitAny: parameters of sagas of every kind
export type SagaParams = any

export interface Arranged {
  params: SagaParams
  assertDone: () => Promise<void>
  assertUnwound: (failedStep: string) => Promise<void>
}

export interface SagaCaseEntry {
  arrange: (c: ServerCloud) => Promise<Arranged>
  pointOfNoReturn?: string
}

export function contextOf(platform: Platform, caller: Ctx["caller"]): Ctx {
  return makeCtx(platform, caller, newRequestId(), "http://127.0.0.1")
}

/** A caller's context; `started` has the parameters of what it would have started. */
export function capturing(
  platform: Platform,
  caller: Ctx["caller"],
  /** The one that is kept; those that it waits for run. Default: all are kept. */
  only?: string,
): { ctx: Ctx; started: SagaParams[] } {
  const started: SagaParams[] = []
  const keep = async (params: unknown) => {
    started.push(JSON.parse(JSON.stringify(params)))
    return newUuid()
  }
  const sagas: Platform["sagas"] = {
    start: (tx, saga, params, how) =>
      only === undefined || saga.name === only ? keep(params) : platform.sagas.start(tx, saga, params, how),
    waitForSaga: async () => ({ state: "done", failure: null }),
    wake: async () => {},
    wakeAfter: () => {},
    startMany: async (_tx, _saga, orders) => await Promise.all(orders.map((order) => keep(order.params))),
  }
  const quiet = Object.assign(Object.create(platform) as Platform, { sagas })
  return { ctx: contextOf(quiet, caller), started }
}

/** Runs the saga to its end, and gives the parameters of what it would have started. */
export async function startedBy<P>(
  platform: Platform,
  caller: Ctx["caller"],
  saga: Saga<P>,
  params: P,
): Promise<SagaParams[]> {
  const { ctx, started } = capturing(platform, caller)
  const runner = createSagaRunner({
    config: platform.config.engine,
    bus: createMemoryBus(platform.log),
    ...{ clock: platform.clock, log: platform.log },
  })
  const quiet = Object.assign(Object.create(platform) as Platform, { sagas: ctx.sagas })
  // Under another name, so that no other worker takes it.
  const own = { ...saga, name: `${saga.name}.alone` }
  await using _working = await runner.work(quiet, [own])
  const id = await transact(platform.db, (tx) => runner.start(tx, own, params))
  const { state } = await runner.waitForSaga(platform.db, id)
  assert.equal(state, "done")
  return started
}

/** A context whose sagas run; `settled` waits for those that it began. */
export function running(
  platform: Platform,
  caller: Ctx["caller"],
): { ctx: Ctx; settled: () => Promise<void> } {
  const runner = platform.sagas as SagaRunner
  const begun: string[] = []
  const sagas: Platform["sagas"] = {
    start: async (tx, saga, params, how) => {
      const id = await runner.start(tx, saga, params, how)
      begun.push(id)
      return id
    },
    waitForSaga: (db, id, timeoutMs) => runner.waitForSaga(db, id, timeoutMs),
    wake: (db) => runner.wake(db),
    wakeAfter: (tx) => platform.sagas.wakeAfter(tx),
    startMany: async (tx, saga, orders) => {
      const ids = await runner.startMany(tx, saga, orders)
      begun.push(...ids)
      return ids
    },
  }
  const noting = Object.assign(Object.create(platform) as Platform, { sagas })
  return {
    ctx: contextOf(noting, caller),
    settled: async () => {
      for (const id of begun.splice(0)) await runner.waitForSaga(platform.db, id)
    },
  }
}

/** Who `demo` is, with all that an administrator may. */
export async function callerOf(c: ServerCloud): Promise<Ctx["caller"]> {
  const { body } = await c.cloud.request("GET", "/identity/v3/auth/tokens", {
    token: c.admin,
    headers: { "x-subject-token": c.demo },
  })
  const { user, project } = body.token
  return {
    ...internalCaller,
    systemScope: null,
    userId: user.id,
    userName: user.name,
    projectId: project.id,
    projectName: project.name,
    roles: ["admin", "member", "reader"],
  }
}

export const statusOfImage = async (c: ServerCloud, id: string) =>
  (await c.cloud.request("GET", `/image/v2/images/${id}`, { token: c.admin })).body.status
