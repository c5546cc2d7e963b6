// The bus within one process. Everything goes through JSON as on a wire, so that nothing works here only.
import { describeError } from "../fault/fault.ts"
import type { Logger } from "../log/log.ts"
import { silentLogger } from "../log/log.ts"
import type { Bus, CallOptions, Handler } from "./bus.ts"
import { busClosed, callAborted, decodeFault, encodeFault, noAnswer, noServer } from "./fault-wire.ts"
import { Lane } from "./lane.ts"

/** Calls that one server works on at once when it names no number; they mostly wait for something. */
const concurrencyDefault = 64

interface Server {
  readonly handler: Handler
  readonly lane: Lane
  readonly stop: AbortController
}

/** A topic's servers take turns. */
class Topic {
  readonly servers: Server[] = []
  #turn = 0

  next(): Server | undefined {
    this.#turn = (this.#turn + 1) % Math.max(1, this.servers.length)
    return this.servers[this.#turn]
  }
}

class MemoryBus implements Bus {
  readonly name = "memory"
  readonly #log: Logger
  readonly #topics = new Map<string, Topic>()
  readonly #subscribers = new Map<string, Set<(message: unknown) => void>>()
  readonly #stop = new AbortController()

  constructor(log: Logger) {
    this.#log = log
  }

  async call(topic: string, method: string, args: unknown, options: CallOptions): Promise<unknown> {
    options.signal?.throwIfAborted()
    const server = this.#serverOf(topic)
    const answer = Promise.withResolvers<unknown>()
    const giveUp = new AbortController()
    const end = (fault: Error) => {
      giveUp.abort(fault)
      answer.reject(fault)
    }
    const onAbort = () => end(callAborted(topic, method, options.signal?.reason))
    const onClose = () => end(busClosed(this.name))
    const timer = setTimeout(() => end(noAnswer(topic, method, options.timeoutMs)), options.timeoutMs)
    options.signal?.addEventListener("abort", onAbort, { once: true })
    this.#stop.signal.addEventListener("abort", onClose, { once: true })
    const copy = overWire(args)
    server.lane.add(async () => {
      if (giveUp.signal.aborted) return
      try {
        const result = await handle(server, method, copy, giveUp.signal)
        answer.resolve(overWire(result))
      } catch (error) {
        answer.reject(decodeFault(encodeFault(error)))
      }
    })
    try {
      return await answer.promise
    } finally {
      clearTimeout(timer)
      options.signal?.removeEventListener("abort", onAbort)
      this.#stop.signal.removeEventListener("abort", onClose)
    }
  }

  async cast(topic: string, method: string, args: unknown): Promise<void> {
    const server = this.#serverOf(topic)
    const copy = overWire(args)
    server.lane.add(async () => {
      try {
        await handle(server, method, copy, this.#stop.signal)
      } catch (error) {
        this.#log.warn({ topic, method, error: describeError(error) }, "a cast failed")
      }
    })
  }

  #serverOf(topic: string): Server {
    if (this.#stop.signal.aborted) throw busClosed(this.name)
    const server = this.#topics.get(topic)?.next()
    if (!server) throw noServer(topic)
    return server
  }

  async serve(
    topic: string,
    handler: Handler,
    options: { concurrency?: number } = {},
  ): Promise<AsyncDisposable> {
    if (this.#stop.signal.aborted) throw busClosed(this.name)
    const server: Server = {
      handler,
      lane: new Lane(options.concurrency ?? concurrencyDefault),
      stop: new AbortController(),
    }
    const all = this.#topics.get(topic) ?? new Topic()
    this.#topics.set(topic, all)
    all.servers.push(server)
    return {
      async [Symbol.asyncDispose]() {
        const at = all.servers.indexOf(server)
        if (at >= 0) all.servers.splice(at, 1)
        server.stop.abort()
        await server.lane.whenIdle()
      },
    }
  }

  async publish(topic: string, message: unknown): Promise<void> {
    if (this.#stop.signal.aborted) throw busClosed(this.name)
    const subscribers = this.#subscribers.get(topic)
    if (!subscribers || subscribers.size === 0) return
    const text = JSON.stringify(message ?? null)
    for (const onMessage of subscribers) {
      // Later and each its own copy, as over a wire.
      setImmediate(() => {
        if (!subscribers.has(onMessage)) return
        try {
          onMessage(JSON.parse(text))
        } catch (error) {
          this.#log.warn({ topic, error: describeError(error) }, "a subscriber failed")
        }
      })
    }
  }

  async subscribe(topic: string, onMessage: (message: unknown) => void): Promise<AsyncDisposable> {
    if (this.#stop.signal.aborted) throw busClosed(this.name)
    const all = this.#subscribers.get(topic) ?? new Set()
    this.#subscribers.set(topic, all)
    // A function of its own, so that one listener may subscribe twice.
    const own = (message: unknown) => onMessage(message)
    all.add(own)
    return {
      async [Symbol.asyncDispose]() {
        all.delete(own)
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#subscribers.clear()
    const servers = [...this.#topics.values()].flatMap((topic) => topic.servers)
    this.#topics.clear()
    for (const server of servers) server.stop.abort()
    await Promise.all(servers.map((server) => server.lane.whenIdle()))
  }
}

async function handle(server: Server, method: string, args: unknown, giveUp: AbortSignal): Promise<unknown> {
  // Not AbortSignal.any: its sources would hold on to every call for as long as the server lives.
  const signal = new AbortController()
  const onStop = () => signal.abort(server.stop.signal.reason)
  const onGiveUp = () => signal.abort(giveUp.reason)
  server.stop.signal.addEventListener("abort", onStop, { once: true })
  giveUp.addEventListener("abort", onGiveUp, { once: true })
  if (server.stop.signal.aborted) onStop()
  if (giveUp.aborted) onGiveUp()
  try {
    return await server.handler(method, args, signal.signal)
  } finally {
    server.stop.signal.removeEventListener("abort", onStop)
    giveUp.removeEventListener("abort", onGiveUp)
  }
}

function overWire(value: unknown): unknown {
  return value === undefined ? null : JSON.parse(JSON.stringify(value))
}

export function createMemoryBus(log: Logger = silentLogger): Bus {
  return new MemoryBus(log)
}
