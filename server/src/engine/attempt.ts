// One try of a step or a run: with a time limit, and a way to stop it from outside.
import type { Clock } from "../platform/clock/clock.ts"
import { Fault } from "../platform/fault/fault.ts"

/** Why it was told to stop although its time was not over. */
export type Interruption = "lease_lost" | "stopping"

export type Attempt<T> =
  | { kind: "done"; value: T }
  | { kind: "failed"; error: unknown; isTimeout: boolean; mayStillRun: boolean }
  | { kind: "interrupted"; by: Interruption }

export interface Attemptable<T> {
  run: (signal: AbortSignal) => T | Promise<T>
  timeoutMs: number
  /** How long a step that was told to stop may take to do so, before it is left behind. */
  settleMs: number
  clock: Clock
  /** Aborted from outside with an Interruption as its reason. */
  interrupt: AbortSignal
  what: string
  /** Code of the fault when its time is over. */
  timeoutCode: string
}

const settled = Symbol("settled")

/** Never throws. A step that ignores its signal is left behind; the next fence makes its commands stale. */
export async function attempt<T>(options: Attemptable<T>): Promise<Attempt<T>> {
  const { clock, interrupt } = options
  const own = new AbortController()
  const ended = new AbortController()
  const stop = () => own.abort(interrupt.reason)
  if (interrupt.aborted) return { kind: "interrupted", by: interrupt.reason as Interruption }
  interrupt.addEventListener("abort", stop, { once: true })
  const aborted = new Promise<void>((resolve) => {
    own.signal.addEventListener("abort", () => resolve(), { once: true })
  })
  const outcome = Promise.resolve()
    .then(() => options.run(own.signal))
    .then(
      (value): Attempt<T> => ({ kind: "done", value }),
      (error: unknown): Attempt<T> => ({ kind: "failed", error, isTimeout: false, mayStillRun: false }),
    )
  let isTimeout = false
  void clock.sleep(options.timeoutMs, ended.signal).then(
    () => {
      isTimeout = true
      own.abort(new Fault("unavailable", options.timeoutCode, timeoutText(options)))
    },
    () => {},
  )
  try {
    const first = await Promise.race([outcome, aborted])
    if (first) return first
    const grace = clock.sleep(options.settleMs, ended.signal).then(
      () => settled,
      () => settled,
    )
    const last = await Promise.race([outcome, grace])
    const mayStillRun = last === settled
    if (typeof last !== "symbol" && last.kind === "done") return last
    if (isTimeout) return { kind: "failed", error: own.signal.reason, isTimeout, mayStillRun }
    return { kind: "interrupted", by: interrupt.reason as Interruption }
  } finally {
    ended.abort()
    interrupt.removeEventListener("abort", stop)
  }
}

function timeoutText(options: Pick<Attemptable<unknown>, "what" | "timeoutMs">): string {
  return `${options.what} took longer than ${options.timeoutMs} ms.`
}
