// Two streams as one: what comes out of each goes into the other, as fast as that takes it, and both end together.
import type { Duplex } from "node:stream"

/** What an end has sent last still gets there; an other end that does not take it is not waited for longer. */
const lingerMs = 5_000

export function joinStreams(one: Duplex, other: Duplex): void {
  forward(one, other)
  forward(other, one)
}

function forward(from: Duplex, to: Duplex): void {
  // Told by its end, which follows.
  from.on("error", () => {})
  from.pipe(to)
  const end = () => {
    if (to.destroyed) return
    to.end()
    const timer = setTimeout(() => to.destroy(), lingerMs).unref()
    to.once("close", () => clearTimeout(timer))
  }
  if (from.destroyed) end()
  else from.once("close", end)
}
