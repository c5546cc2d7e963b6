// Runs reconcilers: on a timer and on a poke, one run at a time in the whole cloud, each with a time limit.
//
// The run is a row with a lease: a process that dies in a run holds up the next one for a lease and no longer. A
// poke during a run causes one more run after it, wherever that run goes on.
import { randomUUID } from "node:crypto"
import type { Platform } from "../../platform/context/context.ts"
import { describeError } from "../../platform/fault/fault.ts"
import { attempt, type Interruption } from "../attempt.ts"
import "../config.ts" // declares the section where a program makes this
import { Loop } from "../loop.ts"
import type { EnginePartsWithDb } from "../parts.ts"
import type { Reconciler } from "./reconciler.ts"
import {
  claimRun,
  endRun,
  ensureReconcilers,
  listReconcilers,
  type ReconcilerStatus,
  renewRun,
} from "./store.ts"

export type { ReconcilerStatus } from "./store.ts"

/** Served by every process that runs reconcilers; one of them takes the poke. */
const pokeTopic = "engine.reconcile"

export interface ReconcilerRunner {
  /** Begins to run these, each at once for the first time, until the handle is disposed. */
  work(platform: Platform, reconcilers: readonly Reconciler[]): Promise<AsyncDisposable>
  /** Asks for a run soon; one that goes on already is followed by another. */
  poke(name: string): void
  status(): Promise<ReconcilerStatus[]>
}

interface Entry {
  readonly reconciler: Reconciler
  readonly loop: Loop
  isPoked: boolean
}

export function createReconcilerRunner(options: EnginePartsWithDb): ReconcilerRunner {
  const entries = new Map<string, Entry>()
  const pokeHere = (name: string): boolean => {
    const entry = entries.get(name)
    if (!entry) return false
    entry.isPoked = true
    entry.loop.poke()
    return true
  }
  return {
    async work(platform, reconcilers) {
      if (entries.size > 0) throw new Error("this reconciler runner works already")
      await ensureReconcilers(
        options.db,
        reconcilers.map((r) => r.name),
      )
      for (const reconciler of reconcilers) {
        if (entries.has(reconciler.name)) throw new Error(`two reconcilers are called ${reconciler.name}`)
        entries.set(reconciler.name, newEntry(options, platform, reconciler))
      }
      const served = await options.bus.serve(pokeTopic, async (_method, name) => pokeHere(String(name)))
      return {
        async [Symbol.asyncDispose]() {
          await served[Symbol.asyncDispose]()
          await Promise.all([...entries.values()].map((entry) => entry.loop.stop()))
          entries.clear()
        },
      }
    },
    poke(name) {
      if (pokeHere(name)) return
      void options.bus.cast(pokeTopic, "poke", name).catch(() => {}) // then the timer finds it
    },
    status: () => listReconcilers(options.db),
  }
}

function newEntry(options: EnginePartsWithDb, platform: Platform, reconciler: Reconciler): Entry {
  const { clock, log } = options
  const entry: Entry = {
    reconciler,
    // The first run comes at once: nobody kept the world while this process was not there.
    isPoked: true,
    loop: new Loop({
      name: `reconcile ${reconciler.name}`,
      intervalMs: reconciler.intervalMs,
      clock,
      log,
      body: async (stop) => {
        const { isPoked } = entry
        entry.isPoked = false
        return await runOnce(options, platform, reconciler, isPoked, stop)
      },
    }),
  }
  return entry
}

/** True when there must be one more run at once. */
async function runOnce(
  options: EnginePartsWithDb,
  platform: Platform,
  reconciler: Reconciler,
  isPoked: boolean,
  stop: AbortSignal,
): Promise<boolean> {
  const { db, config, clock, log } = options
  const { name } = reconciler
  const claim = {
    name,
    owner: randomUUID(),
    leaseMs: config.reconcilerLeaseMs,
    isPoked,
    // A little less, or two timers of the same length would keep missing each other.
    intervalMs: reconciler.intervalMs * 0.9,
  }
  const fence = await claimRun(db, claim)
  if (fence === null) return false
  const interrupt = new AbortController()
  const interruptFor = (reason: Interruption) => () => interrupt.abort(reason)
  const onStop = interruptFor("stopping")
  stop.addEventListener("abort", onStop, { once: true })
  if (stop.aborted) onStop()
  const lease = new Loop({
    name: `lease of ${name}`,
    intervalMs: config.reconcilerLeaseMs / 3,
    clock,
    log,
    isFirstLater: true,
    body: async () => {
      if (!(await renewRun(options.leaseDb ?? db, name, fence, config.reconcilerLeaseMs)))
        interruptFor("lease_lost")()
      return false
    },
  })
  const startedMs = clock.monotonicMs()
  try {
    const result = await attempt({
      what: `The run of ${name}`,
      timeoutCode: "engine.reconciler_timeout",
      timeoutMs: reconciler.timeoutMs,
      settleMs: config.sagaSettleMs,
      clock,
      interrupt: interrupt.signal,
      run: (signal) => reconciler.run(platform, signal),
    })
    const durationMs = clock.monotonicMs() - startedMs
    if (result.kind === "failed") {
      const error = describeError(result.error)
      log.warn(
        { reconciler: name, error, err: result.error },
        "reconciler run failed; the next run tries again",
      )
      return await endRun(db, name, fence, { status: null, error, durationMs })
    }
    const error = result.kind === "interrupted" ? `interrupted: ${result.by}` : null
    const status = result.kind === "done" ? asStatus(result.value) : null
    return await endRun(db, name, fence, { status, error, durationMs })
  } finally {
    stop.removeEventListener("abort", onStop)
    await lease.stop()
  }
}

function asStatus(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {}
}
