// A client that asks all the time, as a program with retries does: a connection that is refused or breaks is made
// again; any other failure counts.
import type { Session } from "./session.ts"

export interface Asked {
  answers: number
  /** Connections that were made again. */
  retries: number
  /** Milliseconds for the longest request, its retries included. */
  longestMs: number
  /** What no retry would have helped. */
  failures: string[]
}

/** A request is given up when it was not answered for so long. */
const giveUpMs = 300_000
const pauseMs = 100

/** One that may be sent twice. */
type Request = readonly [method: string, path: string, body?: unknown]

export class AskingClient {
  readonly asked: Asked = { answers: 0, retries: 0, longestMs: 0, failures: [] }
  readonly #session: Session
  readonly #requests: readonly Request[]
  readonly #loop: Promise<void>
  #isStopped = false

  constructor(session: Session, requests: readonly Request[]) {
    this.#session = session
    this.#requests = requests
    this.#loop = this.#keepAsking()
  }

  async #keepAsking(): Promise<void> {
    for (let at = 0; !this.#isStopped; at++) {
      await this.#ask(this.#requests[at % this.#requests.length] ?? ["GET", "/"])
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
    }
  }

  async #ask([method, path, body]: Request): Promise<void> {
    const startedMs = performance.now()
    while (performance.now() - startedMs < giveUpMs) {
      const status = await this.#session.send(method, path, body).then(
        (answer) => answer.status,
        () => "no connection" as const,
      )
      if (status === "no connection") {
        this.asked.retries++
        if (this.#isStopped) return
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
        continue
      }
      if (!(status < 400)) this.asked.failures.push(`${method} ${path}: ${status}`)
      this.asked.answers++
      this.asked.longestMs = Math.max(this.asked.longestMs, Math.round(performance.now() - startedMs))
      return
    }
    this.asked.failures.push(`${method} ${path}: no answer within ${giveUpMs} ms`)
  }

  /** After the request under way. */
  async stop(): Promise<Asked> {
    this.#isStopped = true
    await this.#loop
    return this.asked
  }
}
