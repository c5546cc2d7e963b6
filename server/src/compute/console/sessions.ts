// Open consoles of the cloud: how many there may be, and when one is over that does not end by itself: nobody is at the
// other end, nothing goes over it, or its server is gone or elsewhere.
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import type { Platform } from "../../platform/context/context.ts"
import { joinStreams } from "../../platform/streams/join.ts"
import { consolesTooMany } from "../faults.ts"
import { type ConsolePlace, selectServerHosts } from "./token.ts"

/** Whose browser is gone without a word is noticed within two of these. */
const pingIntervalMs = 30_000
const lookIntervalMs = 2_000

/** Codes of RFC 6455. */
const goingAway = 1001
const policyViolation = 1008

interface Session {
  place: ConsolePlace
  /** Null while the machine is being reached. */
  open: { socket: WebSocket; machine: Duplex } | null
  lastUsedMs: number
  isAnswering: boolean
}

export class ConsoleSessions implements Disposable {
  readonly #platform: Platform
  readonly #sessions = new Set<Session>()
  readonly #timers: NodeJS.Timeout[]
  #isLooking = false

  constructor(platform: Platform) {
    this.#platform = platform
    this.#timers = [
      setInterval(() => void this.#look(), lookIntervalMs).unref(),
      setInterval(() => this.#ping(), pingIntervalMs).unref(),
    ]
  }

  get count(): number {
    return this.#sessions.size
  }

  /** Counts from now on, also while the machine is still being reached. */
  begin(place: ConsolePlace): Session {
    const { sessionsMost, sessionsPerServerMost } = this.#platform.config.console
    if (this.#sessions.size >= sessionsMost) throw consolesTooMany(sessionsMost)
    const ofServer = [...this.#sessions].filter((other) => other.place.serverId === place.serverId)
    if (ofServer.length >= sessionsPerServerMost) throw consolesTooMany(sessionsPerServerMost)
    const session = { place, open: null, lastUsedMs: this.#now(), isAnswering: true }
    this.#sessions.add(session)
    return session
  }

  end(session: Session): void {
    this.#sessions.delete(session)
  }

  /** `client` is the same as `socket`, as a stream. */
  join(session: Session, socket: WebSocket, client: Duplex, machine: Duplex): void {
    const { serverId, kind } = session.place
    session.open = { socket, machine }
    const use = () => {
      session.lastUsedMs = this.#now()
    }
    socket.on("message", use)
    socket.on("pong", () => {
      session.isAnswering = true
    })
    socket.once("close", () => {
      this.end(session)
      this.#platform.log.info({ serverId, kind }, "a console was closed")
    })
    joinStreams(client, machine)
    machine.on("data", use)
  }

  #now(): number {
    return this.#platform.clock.monotonicMs()
  }

  #ping(): void {
    for (const session of this.#sessions) {
      const socket = session.open?.socket
      if (socket?.readyState !== socket?.OPEN) continue
      if (session.isAnswering) socket?.ping()
      else socket?.terminate()
      session.isAnswering = false
    }
  }

  async #look(): Promise<void> {
    if (this.#isLooking || this.#sessions.size === 0) return
    this.#isLooking = true
    try {
      this.#closeIdle()
      await this.#closeHomeless()
    } catch (error) {
      this.#platform.log.warn({ err: error }, "open consoles could not be looked after")
    } finally {
      this.#isLooking = false
    }
  }

  #closeIdle(): void {
    const { idleMs } = this.#platform.config.console
    if (idleMs === 0) return
    const oldest = this.#now() - idleMs
    for (const session of this.#sessions)
      if (session.lastUsedMs < oldest) close(session, policyViolation, "nothing went over it for too long")
  }

  /** Most end with their machine; those of a host that does not answer do not. */
  async #closeHomeless(): Promise<void> {
    const sessions = [...this.#sessions]
    const hosts = await selectServerHosts(
      this.#platform.db,
      sessions.map(({ place }) => place.serverId),
    )
    for (const session of sessions)
      if (hosts.get(session.place.serverId) !== session.place.host)
        close(session, policyViolation, "the server is gone or elsewhere")
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer)
    for (const session of this.#sessions) {
      close(session, goingAway, "the cloud is stopping")
      session.open?.socket.terminate()
    }
  }
}

/** The machine hears nothing any more, whatever the client does. */
function close({ open }: Session, code: number, why: string): void {
  open?.socket.close(code, why)
  open?.machine.destroy()
}
