import type { Clock } from "../../platform/clock/clock.ts"
import type { Db } from "../../platform/db/database.ts"
import { readSaga, type SagaResult } from "./store.ts"

/** How often to look for the end of a saga that another process runs. */
const lookEveryMs = 250

/** Those in this process who wait for the end of a saga. */
export class Waiters {
  readonly #wakes = new Map<string, Set<() => void>>()

  wake(id: string): void {
    for (const wake of this.#wakes.get(id) ?? []) wake()
  }

  async waitFor(db: Db, id: string, clock: Clock, timeoutMs = Number.POSITIVE_INFINITY): Promise<SagaResult> {
    const until = clock.monotonicMs() + timeoutMs
    const wakes = this.#wakes.get(id) ?? new Set()
    this.#wakes.set(id, wakes)
    let wake = () => {}
    const mine = () => wake()
    wakes.add(mine)
    try {
      for (;;) {
        const timer = new AbortController()
        // Listening begins before the look, so no end falls in between.
        const woken = new Promise<void>((resolve) => {
          wake = resolve
        })
        const found = await readSaga(db, id)
        if (!found) throw new Error(`there is no saga ${id}`)
        if (found.state !== "running" && found.state !== "unwinding") return found
        if (clock.monotonicMs() >= until) return found
        await Promise.race([woken, clock.sleep(lookEveryMs, timer.signal).catch(() => {})])
        timer.abort()
      }
    } finally {
      wakes.delete(mine)
      if (wakes.size === 0) this.#wakes.delete(id)
    }
  }
}
