// Two ends of a stream within one process, as those of a socket: who closes one of them ends the other.
import { type Duplex, duplexPair } from "node:stream"

export function linkedPair(): [Duplex, Duplex] {
  const [one, other] = duplexPair()
  endWith(one, other)
  endWith(other, one)
  return [one, other]
}

/** What `gone` has sent is still read. */
function endWith(gone: Duplex, left: Duplex): void {
  gone.once("close", () => {
    if (left.destroyed) return
    if (left.readableEnded) left.destroy()
    else {
      left.once("end", () => left.destroy())
      left.push(null)
    }
  })
}
