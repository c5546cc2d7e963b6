// Streams that another host opens because it was asked to: each is waited for under an id that nobody can guess, from
// that host alone, once, and for seconds.
import type { Duplex } from "node:stream"
import { fault } from "../fault/fault.ts"
import { newSecret } from "../ids/ids.ts"
import { linkedPair } from "./pair.ts"

export const streamLate = fault(
  "unavailable",
  "stream.late",
  () => "The host did not open the connection in time.",
)
export const streamUnasked = fault("not_found", "stream.unasked", () => "Nobody waits for this stream.")

export interface AwaitedStream extends Disposable {
  readonly id: string
  /** Rejects when it did not come in time, or is not waited for any more. */
  readonly opened: Promise<Duplex>
}

interface Waiting {
  host: string
  take: (stream: Duplex) => void
}

declare module "../context/context.ts" {
  interface Drivers {
    /** Where hosts open streams: in the process with their door. */
    readonly streams?: AwaitedStreams
  }
}

const idBytes = 24

export class AwaitedStreams {
  readonly #waiting = new Map<string, Waiting>()

  /** Dispose it to wait no longer; a stream that has come is the caller's. */
  expect(host: string, timeoutMs: number): AwaitedStream {
    const id = newSecret(idBytes)
    const { promise, resolve, reject } = Promise.withResolvers<Duplex>()
    // Whoever gave up has not asked.
    promise.catch(() => {})
    const forget = () => {
      clearTimeout(timer)
      this.#waiting.delete(id)
    }
    const giveUp = () => {
      forget()
      reject(streamLate())
    }
    const timer = setTimeout(giveUp, timeoutMs)
    const take = (stream: Duplex) => {
      forget()
      resolve(stream)
    }
    this.#waiting.set(id, { host, take })
    return { id, opened: promise, [Symbol.dispose]: giveUp }
  }

  /** For the stream that this host opens under this id; from then on nobody else's is taken. Null: none is waited for. */
  claim(host: string, id: string): ((stream: Duplex) => void) | null {
    const found = this.#waiting.get(id)
    if (found?.host !== host) return null
    this.#waiting.delete(id)
    return found.take
  }

  /** For what is in this process. */
  dialer(host: string): { dial(id: string): Promise<Duplex> } {
    return {
      dial: async (id) => {
        const take = this.claim(host, id)
        if (!take) throw streamUnasked()
        const [own, theirs] = linkedPair()
        take(theirs)
        return own
      },
    }
  }
}
