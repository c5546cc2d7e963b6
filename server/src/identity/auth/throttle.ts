// Slows down who guesses passwords from one address. Counted in each process, as it need not be exact: the lockout
// of single users (login_state) is, and this one is about guessing many users.
import { tooManyFailures, unauthenticated } from "../faults.ts"

export interface LoginThrottle {
  /** Throws `rate_limited` while the address has too many failures behind it. */
  check(address: string): void
  noteFailure(address: string): void
  /** Checks, runs, and counts an `unauthenticated` outcome. */
  guard<T>(address: string, run: () => Promise<T>): Promise<T>
}

export interface ThrottleOptions {
  /** Failures of one address in a window; 0: no limit. */
  failuresMax: number
  monotonicMs: () => number
}

const windowMs = 60_000
/** Addresses remembered; the oldest window goes first. */
const addressesMax = 10_000

export function createLoginThrottle({ failuresMax, monotonicMs }: ThrottleOptions): LoginThrottle {
  const windows = new Map<string, { startMs: number; failures: number }>()
  const current = (address: string) => {
    const window = windows.get(address)
    if (!window) return undefined
    if (monotonicMs() - window.startMs < windowMs) return window
    windows.delete(address)
    return undefined
  }
  const throttle: LoginThrottle = {
    check(address) {
      const window = failuresMax > 0 ? current(address) : undefined
      if (!window || window.failures < failuresMax) return
      throw tooManyFailures(window.startMs + windowMs - monotonicMs(), { address, failures: window.failures })
    },
    noteFailure(address) {
      if (failuresMax === 0) return
      const window = current(address)
      if (window) window.failures++
      else windows.set(address, { startMs: monotonicMs(), failures: 1 })
      for (const oldest of windows.keys()) {
        if (windows.size <= addressesMax) break
        windows.delete(oldest)
      }
    },
    async guard(address, run) {
      throttle.check(address)
      try {
        return await run()
      } catch (error) {
        if (unauthenticated.is(error)) throttle.noteFailure(address)
        throw error
      }
    },
  }
  return throttle
}
