// Says that the host lives, and what it is like now: every few seconds, and when somebody should know it at once.
import type { Clock } from "../platform/clock/clock.ts"
import type { Logger } from "../platform/log/log.ts"
import type { AgentReport } from "./protocol.ts"

type Alive = Extract<AgentReport, { kind: "alive" }>
export type Seen = Omit<Alive, "kind" | "host" | "at">

export interface AliveReportsOptions {
  host: string
  clock: Clock
  log: Logger
  report: (report: AgentReport) => void
  look: () => Promise<Seen>
  stop: AbortSignal
  intervalMs?: number
}

/** A host is taken for dead after a few of these are missed. */
const defaultIntervalMs = 10_000

export class AliveReports {
  readonly #options: AliveReportsOptions
  #now = Promise.withResolvers<void>()

  constructor(options: AliveReportsOptions) {
    this.#options = options
  }

  sayNow(): void {
    this.#now.resolve()
  }

  /** Until it is told to stop. */
  async keep(): Promise<void> {
    const { clock, host, log, look, report, stop, intervalMs = defaultIntervalMs } = this.#options
    while (!stop.aborted) {
      try {
        const seen = await look()
        report({ kind: "alive", host, at: clock.now().toISOString(), ...seen })
      } catch (error) {
        log.error({ err: error }, "the host could not be described")
      }
      // Told while it looked: nobody would end the pause.
      if (stop.aborted) return
      const pause = new AbortController()
      const onStop = () => pause.abort()
      stop.addEventListener("abort", onStop, { once: true })
      await Promise.race([clock.sleep(intervalMs, pause.signal).catch(() => {}), this.#now.promise])
      pause.abort()
      stop.removeEventListener("abort", onStop)
      this.#now = Promise.withResolvers()
    }
  }
}
