// Records of logins on their way to the outbox. A login does not wait for a commit of its own: records gather here
// and are written in batches. A crash loses what was gathered in the last moment, not what the audit log has.
// Guesses must not fill the database: of the failures only so many a minute are written one by one, the others are
// counted and told as one record.
import type { Clock } from "../../platform/clock/clock.ts"
import type { CadfEvent } from "./cadf.ts"

export interface LoginQueue {
  /** Whether the record is to be kept; if not, it is counted. */
  add(event: CadfEvent): boolean
  /** The oldest ones. */
  take(most: number): CadfEvent[]
  /** What could not be written, to the front. */
  giveBack(events: readonly CadfEvent[]): void
  /** How many were not kept since the last call; 0 while the minute lasts in which they came. */
  takeSuppressed(): number
  /** Called after an `add`. */
  onAdded: () => void
}

export interface LoginQueueOptions {
  clock: Clock
  /** Records that wait for the database. */
  lengthMax: number
  failuresPerMinuteMax: number
}

const minuteMs = 60_000

export function createLoginQueue({ clock, lengthMax, failuresPerMinuteMax }: LoginQueueOptions): LoginQueue {
  let waiting: CadfEvent[] = []
  let minuteStartMs = clock.monotonicMs()
  let failures = 0
  let suppressed = 0
  const turnMinute = () => {
    if (clock.monotonicMs() - minuteStartMs < minuteMs) return false
    minuteStartMs = clock.monotonicMs()
    failures = 0
    return true
  }
  const queue: LoginQueue = {
    onAdded: () => {},
    add(event) {
      // What an earlier minute suppressed is told before this one begins to count.
      if (suppressed === 0) turnMinute()
      if (event.outcome === "failure") failures++
      const isTooMuch = event.outcome === "failure" && failures > failuresPerMinuteMax
      if (isTooMuch || waiting.length >= lengthMax) {
        suppressed++
        return false
      }
      waiting.push(event)
      queue.onAdded()
      return true
    },
    take(most) {
      const taken = waiting.slice(0, most)
      waiting = waiting.slice(most)
      return taken
    },
    giveBack(events) {
      waiting = [...events, ...waiting]
    },
    takeSuppressed() {
      if (suppressed === 0 || !turnMinute()) return 0
      const count = suppressed
      suppressed = 0
      return count
    },
  }
  return queue
}
