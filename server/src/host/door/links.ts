// The connections of hosts to the bus: one a host. What is told of a host that is lost waits a moment: it may be back.
import type { Socket } from "node:net"
import { checkCommandVersion } from "../../agent/protocol.ts"
import type { Bus } from "../../platform/bus/bus.ts"
import type { Hello } from "../../platform/bus/hello.ts"
import { servePeer } from "../../platform/bus/peer-bus.ts"
import type { Fault } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import type { Member } from "../member/member.ts"
import { busOfHost } from "./host-bus.ts"

/** A host whose process is started anew is back sooner. */
const lostAfterMs = 3_000
/** A host serves one topic; while it ends one it may begin the next. */
const handlesMost = 16
/** For a refusal to be read. */
const refusedMs = 1_000

export interface LinkOptions {
  bus: Bus
  log: Logger
  /** What this end is; default: this program. */
  hello?: Hello
  onLost: (host: string) => Promise<void>
}

export class HostLinks {
  readonly #bus: Bus
  readonly #log: Logger
  readonly #onLost: (host: string) => Promise<void>
  readonly #sockets = new Map<string, Socket>()
  readonly #waiting = new Map<string, NodeJS.Timeout>()
  /** Why hosts were refused when they connected last. */
  readonly #refusals = new Map<string, string>()
  readonly #hello: Hello | undefined

  constructor(options: LinkOptions) {
    this.#bus = options.bus
    this.#log = options.log
    this.#onLost = options.onLost
    this.#hello = options.hello
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
    servePeer(busOfHost(this.#bus, host, address), socket, {
      ...{ isWatched: true, handlesMost, checkMethod: checkCommandVersion },
      ...(this.#hello === undefined ? {} : { hello: this.#hello }),
      onHello: (_hello, refusal) => this.#noteHello(host, socket, refusal),
    })
  }

  #noteHello(host: string, socket: Socket, refusal: Fault | null): void {
    if (refusal === null) {
      this.#refusals.delete(host)
      return
    }
    // It tries again and again; an operator reads it once, and in the list of hosts.
    if (this.#refusals.get(host) !== refusal.message)
      this.#log.error({ host, code: refusal.code }, refusal.message)
    this.#refusals.set(host, refusal.message)
    setTimeout(() => socket.destroy(), refusedMs).unref()
  }

  /** Why its connections are refused; null: they are not, or it has not tried. */
  refusalOf(host: string): string | null {
    return this.#refusals.get(host) ?? null
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
    this.#refusals.delete(host)
    this.#sockets.get(host)?.destroy()
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets.values()) socket.destroy()
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#sockets.clear()
    this.#waiting.clear()
  }
}
