import type { Platform } from "../../platform/context/context.ts"

/**
 * Keeps the world like the rows. Runs on a timer and on a poke; takes no input; one run at a time in the whole
 * cloud (a lease in PostgreSQL); no retries inside, as the next run is the retry.
 */
export interface Reconciler {
  readonly name: string
  readonly intervalMs: number
  /** Time limit of a run. */
  readonly timeoutMs: number
  /** Returns a small JSON status for operators. */
  run(platform: Platform, signal: AbortSignal): Promise<Record<string, unknown>>
}
