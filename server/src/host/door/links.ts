// The connections of hosts to the bus: one a host. What is told of a host that is lost waits a moment: it may be back.
import type { Socket } from "node:net"
import type { Bus } from "../../platform/bus/bus.ts"
import { servePeer } from "../../platform/bus/peer-bus.ts"
import type { Logger } from "../../platform/log/log.ts"
import type { Member } from "../member/member.ts"
import { busOfHost } from "./host-bus.ts"

/** A host whose process is started anew is back sooner. */
const lostAfterMs = 3_000
/** A host serves one topic; while it ends one it may begin the next. */
const handlesMost = 16

export class HostLinks {
  readonly #bus: Bus
  readonly #log: Logger
  readonly #onLost: (host: string) => Promise<void>
  readonly #sockets = new Map<string, Socket>()
  readonly #waiting = new Map<string, NodeJS.Timeout>()

  constructor(options: { bus: Bus; log: Logger; onLost: (host: string) => Promise<void> }) {
    this.#bus = options.bus
    this.#log = options.log
    this.#onLost = options.onLost
  }

  /** From now on the socket is the host's; one that it had before is of a network that was cut. */
  add({ name: host, address }: Member, socket: Socket): void {
    this.#sockets.get(host)?.destroy()
    this.#sockets.set(host, socket)
    clearTimeout(this.#waiting.get(host))
    this.#waiting.delete(host)
    this.#log.info({ host, address: socket.remoteAddress }, "a host is connected")
    socket.on("error", (error) => this.#log.debug({ host, error: error.message }, "the link of a host broke"))
    socket.once("close", () => this.#left(host, socket))
    servePeer(busOfHost(this.#bus, host, address), socket, { isWatched: true, handlesMost })
  }

  #left(host: string, socket: Socket): void {
    if (this.#sockets.get(host) !== socket) return
    this.#sockets.delete(host)
    this.#log.warn({ host }, "a host is not connected any more")
    const timer = setTimeout(() => {
      this.#waiting.delete(host)
      this.#onLost(host).catch((error: unknown) => this.#log.error({ host, err: error }, "a lost host"))
    }, lostAfterMs)
    this.#waiting.set(host, timer)
  }

  has(host: string): boolean {
    return this.#sockets.has(host)
  }

  drop(host: string): void {
    this.#sockets.get(host)?.destroy()
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.destroy()
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#sockets.clear()
    this.#waiting.clear()
  }
}
