// The bus of a process on another host: over one connection at a time to the process that has the bus, made again
// whenever it breaks. What is served and subscribed here is so again after each connection; what is asked meanwhile
// fails as `unavailable`, and what others publish meanwhile is not heard: a bus loses latency, never state.
import { randomUUID } from "node:crypto"
import type { Socket } from "node:net"
import type { Clock } from "../clock/clock.ts"
import { describeError, Fault } from "../fault/fault.ts"
import type { Logger } from "../log/log.ts"
import type { Bus, CallOptions, Handler } from "./bus.ts"
import { busClosed } from "./fault-wire.ts"
import type { Hello } from "./hello.ts"
import { connectionLost, PeerBus } from "./peer-bus.ts"

export interface LinkBusOptions {
  /** Opens a connection; rejects when the other side cannot be reached, or does not want us. */
  connect: (signal: AbortSignal) => Promise<Socket>
  clock: Clock
  log: Logger
  /** What this end is; default: this program. */
  hello?: Hello
  /** Told of each change; the first connection too. An error says why there is none. */
  onChange?: (state: LinkState) => void
  /** The longest pause between attempts; default 8 s. */
  pauseMostMs?: () => number
}

export interface LinkState {
  isConnected: boolean
  /** Why it is not; null while it is. */
  problem: string | null
}

const busName = "link"
/** After a failure; each next one is twice as long. Many hosts come back at once: chance spreads them. */
const pauseFirstMs = 250
const pauseMostMs = 8_000

/** Opened on the connection that there is, and on each later one. */
interface Standing {
  open: (bus: Bus) => Promise<AsyncDisposable>
  opened: AsyncDisposable | null
}

class LinkBus implements Bus {
  readonly name = busName
  readonly #options: LinkBusOptions
  readonly #standing = new Map<string, Standing>()
  readonly #stop = new AbortController()
  #current: PeerBus | null = null
  #linked = Promise.withResolvers<void>()
  readonly #loop: Promise<void>

  constructor(options: LinkBusOptions) {
    this.#options = options
    this.#loop = this.#keepConnected()
  }

  async #keepConnected(): Promise<void> {
    const { clock, log, onChange } = this.#options
    let pauseMs = pauseFirstMs
    while (!this.#stop.signal.aborted) {
      try {
        const socket = await this.#options.connect(this.#stop.signal)
        // One that does not want us is asked less often, too.
        await this.#use(socket, () => {
          pauseMs = pauseFirstMs
        })
        onChange?.({ isConnected: false, problem: "the connection broke" })
      } catch (error) {
        if (this.#stop.signal.aborted) return
        log.warn({ error: describeError(error) }, "the cloud cannot be reached")
        onChange?.({
          isConnected: false,
          problem: error instanceof Fault ? error.message : describeError(error),
        })
        await clock.sleep(pauseMs * (0.5 + Math.random()), this.#stop.signal).catch(() => {})
        pauseMs = Math.min(pauseMs * 2, this.#options.pauseMostMs?.() ?? pauseMostMs)
      }
    }
  }

  /** Resolves when the connection has ended. */
  async #use(socket: Socket, onLinked: () => void): Promise<void> {
    const { log, onChange, hello } = this.#options
    const ended = Promise.withResolvers<void>()
    const own = hello === undefined ? {} : { hello }
    const bus = new PeerBus(socket, { log, isWatched: true, ...own, onLost: () => ended.resolve() })
    try {
      await Promise.race([bus.greet(), aborted(this.#stop.signal)])
      this.#stop.signal.throwIfAborted()
      this.#current = bus
      for (const standing of [...this.#standing.values()]) standing.opened = await standing.open(bus)
      this.#linked.resolve()
      onLinked()
      onChange?.({ isConnected: true, problem: null })
      await Promise.race([ended.promise, aborted(this.#stop.signal)])
    } finally {
      this.#current = null
      this.#linked = Promise.withResolvers()
      for (const standing of this.#standing.values()) standing.opened = null
      await bus[Symbol.asyncDispose]()
    }
  }

  #bus(): Bus {
    if (this.#stop.signal.aborted) throw busClosed(busName)
    if (this.#current === null) throw connectionLost(undefined)
    return this.#current
  }

  /** Resolves when there is a connection. */
  async linked(signal: AbortSignal): Promise<void> {
    await Promise.race([this.#linked.promise, aborted(signal)])
    signal.throwIfAborted()
  }

  async call(topic: string, method: string, args: unknown, options: CallOptions): Promise<unknown> {
    return await this.#bus().call(topic, method, args, options)
  }

  async cast(topic: string, method: string, args: unknown): Promise<void> {
    await this.#bus().cast(topic, method, args)
  }

  async publish(topic: string, message: unknown): Promise<void> {
    await this.#bus().publish(topic, message)
  }

  async serve(topic: string, handler: Handler, options?: { concurrency?: number }): Promise<AsyncDisposable> {
    return await this.#keep((bus) => bus.serve(topic, handler, options))
  }

  async subscribe(topic: string, onMessage: (message: unknown) => void): Promise<AsyncDisposable> {
    return await this.#keep((bus) => bus.subscribe(topic, onMessage))
  }

  async #keep(open: Standing["open"]): Promise<AsyncDisposable> {
    if (this.#stop.signal.aborted) throw busClosed(busName)
    const key = randomUUID()
    const standing: Standing = { open, opened: null }
    this.#standing.set(key, standing)
    const current = this.#current
    // Without a connection, or when this one breaks now, it is opened with the next one.
    if (current !== null) standing.opened = await open(current).catch(() => null)
    return {
      [Symbol.asyncDispose]: async () => {
        this.#standing.delete(key)
        await standing.opened?.[Symbol.asyncDispose]()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }
}

export type { LinkBus }

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
}

/** Begins to connect; what it serves is heard as soon as there is a connection. */
export function openLinkBus(options: LinkBusOptions): LinkBus {
  return new LinkBus(options)
}
