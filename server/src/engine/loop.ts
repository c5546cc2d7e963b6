// A body that runs on a timer and on a poke, never twice at once. A poke during a run causes one more run.
import type { Clock } from "../platform/clock/clock.ts"
import { describeError } from "../platform/fault/fault.ts"
import type { Logger } from "../platform/log/log.ts"

export interface LoopOptions {
  name: string
  /** From the end of a run to the start of the next when nobody pokes. */
  intervalMs: number
  clock: Clock
  log: Logger
  /** Returning true asks for one more run at once. Errors are logged; the next run is the retry. */
  body: (signal: AbortSignal) => Promise<boolean | undefined>
  /** Waits a full interval before the first run. */
  isFirstLater?: boolean
}

export class Loop {
  readonly #options: LoopOptions
  readonly #stop = new AbortController()
  #wake: (() => void) | undefined
  #isPoked: boolean
  #done: Promise<void>

  constructor(options: LoopOptions) {
    this.#options = options
    this.#isPoked = options.isFirstLater !== true
    this.#done = this.#run()
  }

  poke(): void {
    this.#isPoked = true
    this.#wake?.()
  }

  /** Ends the loop; its body is told by the signal and waited for. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake?.()
    await this.#done
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    // Not within the constructor of whoever makes the loop.
    await Promise.resolve()
    while (!signal.aborted) {
      if (!this.#isPoked) await this.#pause()
      if (signal.aborted) return
      this.#isPoked = false
      try {
        if ((await this.#options.body(signal)) === true) this.#isPoked = true
      } catch (error) {
        if (signal.aborted) return
        const { name, log } = this.#options
        log.warn({ loop: name, error: describeError(error) }, "run failed; the next one tries again")
        // A poke must not make a failing body spin.
        await this.#pause()
      }
    }
  }

  async #pause(): Promise<void> {
    const pause = new AbortController()
    const poked = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    const slept = this.#options.clock.sleep(this.#options.intervalMs, pause.signal).catch(() => {})
    await Promise.race([poked, slept])
    this.#wake = undefined
    pause.abort()
  }
}
