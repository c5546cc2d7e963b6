import { eventually } from "../../platform/clock/clock.ts"
import { QmpClosedError } from "./errors.ts"

/**
 * `eventually` for what is asked over a connection to QEMU. One that is closed stays closed: its QmpClosedError comes
 * out at once, where `eventually` would ask again until its time is over and then say nothing of it.
 */
export async function eventuallyInQemu<T>(
  what: string,
  condition: () => Promise<T | false | null | undefined>,
  options: { timeoutMs?: number; intervalMs?: number } = {},
): Promise<T> {
  const closed = new AbortController()
  const ask = async () => {
    try {
      return await condition()
    } catch (error) {
      if (error instanceof QmpClosedError) closed.abort(error)
      throw error
    }
  }
  return await eventually(what, ask, { ...options, signal: closed.signal })
}
