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

/** To look takes a machine's time from what is waited for: a tenth more than it takes may pass until it is seen. */
const lookEveryMs = { least: 20, most: 100 }

/**
 * Waits until `condition` gives something truthy; throws with `what` after `timeoutMs`, which a program names. Without
 * `intervalMs` it looks less and less often.
 */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  options: { timeoutMs?: number; intervalMs?: number; signal?: AbortSignal } = {},
): Promise<T> {
  const { timeoutMs = patienceMs, intervalMs, signal } = options
  const beginning = performance.now()
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
    const waitedMs = performance.now() - beginning
    if (waitedMs > timeoutMs) throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: last })
    const { least, most } = lookEveryMs
    await delay(intervalMs ?? Math.min(most, Math.max(least, waitedMs / 10)))
  }
}
