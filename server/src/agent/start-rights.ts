// Which machines may start here again that ran before this host was off. While it was, the cloud may have let a server
// go on elsewhere; so it is asked before each start that no command wants, and while it does not answer nothing starts.
import type { Clock } from "../platform/clock/clock.ts"
import type { StartRights, StartRightsAsked } from "./protocol.ts"

export interface StartRightsSource {
  /** At most `startRightsMost`. Throws while the cloud does not answer. */
  of(asked: StartRightsAsked, signal: AbortSignal): Promise<StartRights>
}

/** A pause that whoever knows more may end. */
export class WakeablePause {
  #woken = Promise.withResolvers<void>()

  wake(): void {
    this.#woken.resolve()
  }

  /** Also over when the signal says so. */
  async sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const over = new AbortController()
    const until = AbortSignal.any([signal, over.signal])
    await Promise.race([clock.sleep(ms, until).catch(() => {}), this.#woken.promise])
    over.abort()
    this.#woken = Promise.withResolvers()
  }
}
