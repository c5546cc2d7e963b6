// How long what is simulated takes, as somebody says who may say it anew at any moment.
import type { Clock } from "./clock.ts"

export class ToldTime {
  readonly #clock: Clock
  #said = new AbortController()
  #passing = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** How many things are under way. */
  get passing(): number {
    return this.#passing
  }

  /** Whoever waits looks again. */
  sayAnew(): void {
    this.#said.abort()
    this.#said = new AbortController()
  }

  /** Until so many milliseconds are over, as `ms` says now and when it is said anew. Rejects when `signal` aborts. */
  async pass(ms: () => number, signal?: AbortSignal): Promise<void> {
    const beginning = this.#clock.monotonicMs()
    this.#passing++
    try {
      for (let passedMs = 0; passedMs < ms(); passedMs = this.#clock.monotonicMs() - beginning) {
        const anew = this.#said.signal
        try {
          await this.#clock.sleep(ms() - passedMs, signal ? AbortSignal.any([signal, anew]) : anew)
          return
        } catch (error) {
          if (!anew.aborted) throw error
        }
      }
    } finally {
      this.#passing--
    }
  }
}
