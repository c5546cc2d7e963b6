/** The only source of time. A virtual clock can take its place; nothing else calls Date.now(). */
export interface Clock {
  now(): Date
  /** Monotonic milliseconds, for durations. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects when the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

import { setTimeout as delay } from "node:timers/promises"

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) => delay(ms, undefined, signal ? { signal } : {}),
}

/** How long a test waits for what must come: only ends what would never, so a busy machine must not reach it. */
const patienceMs = 240_000

/** Waits until `condition` gives something truthy; throws with `what` after `timeoutMs`, which a program names. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  options: { timeoutMs?: number; intervalMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  const { timeoutMs = patienceMs, intervalMs = 20, signal } = options
  const end = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await condition()
      if (value) return value
      last = undefined
    } catch (error) {
      last = error
    }
    signal?.throwIfAborted()
    if (performance.now() > end) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last })
    await delay(intervalMs)
  }
}
