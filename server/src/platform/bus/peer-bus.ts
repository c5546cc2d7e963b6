// A bus over one connection: the process at its one end has the bus, the one at the other end uses it from there.
//
// Each message is JSON-RPC, so what travels is data and nothing else. Where a network lies between the ends, they ask
// each other whether they are there (`isWatched`): a cut network closes no connection by itself.
import { randomUUID } from "node:crypto"
import type { Socket } from "node:net"
import {
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  ErrorCodes,
  type MessageConnection,
  ResponseError,
} from "vscode-jsonrpc/node"
import { Fault } from "../fault/fault.ts"
import { type Logger, silentLogger } from "../log/log.ts"
import type { Bus, CallOptions, Handler } from "./bus.ts"
import { busClosed, callAborted, encodeFault, resultOf, type WireReply } from "./fault-wire.ts"
import { agreedVersion, firstHello, type Hello, ownHello, readHello } from "./hello.ts"
import { BoundedReader, BoundedWriter } from "./message-wire.ts"

/** What a process asks of the one with the bus. The hub's own two requests are `handle` and `deliver`. */
interface Asked {
  topic: string
  method: string
  args: unknown
  timeoutMs: number
  concurrency: number | null
  /** Names what is served or subscribed, from both sides. */
  handle: string
}

const busName = "socket"
const pingMethod = "ping"
/** Said first by the end that opened the connection, and answered by the other one's: `Hello`. */
const helloMethod = "hello"
/** How often an end asks whether the other one is there, and how long that one may take. */
const pingEveryMs = 5_000
const pingWithinMs = 15_000
const closeWithinMs = 2_000
/** How long an end that was told to give up may take to say so. */
const giveUpWithinMs = 2_000
/** What one end may serve and subscribe at a time. */
const handlesMostDefault = 10_000

function connectionOver(socket: Socket): MessageConnection {
  return createMessageConnection(new BoundedReader(socket), new BoundedWriter(socket))
}

function signalOf(token: CancellationToken): AbortSignal {
  const controller = new AbortController()
  if (token.isCancellationRequested) controller.abort()
  token.onCancellationRequested(() => controller.abort())
  return controller.signal
}

async function replyOf(work: () => Promise<unknown>): Promise<WireReply> {
  try {
    return { result: (await work()) ?? null }
  } catch (error) {
    return { fault: encodeFault(error) }
  }
}

/** Sends a request whose answer is a WireReply; the signal tells the other side to give up. */
async function ask(
  connection: MessageConnection,
  method: string,
  params: Partial<Asked>,
  signal?: AbortSignal,
): Promise<unknown> {
  const cancel = new CancellationTokenSource()
  const givenUp = Promise.withResolvers<never>()
  let late: NodeJS.Timeout | undefined
  const onAbort = () => {
    cancel.cancel()
    const fault = callAborted(params.topic ?? busName, params.method ?? method, signal?.reason)
    late = setTimeout(() => givenUp.reject(fault), giveUpWithinMs)
  }
  signal?.addEventListener("abort", onAbort, { once: true })
  let reply: unknown
  try {
    reply = await Promise.race([
      connection.sendRequest<unknown>(method, params, cancel.token),
      // An end that never answers must not hold the place of a call that nobody waits for.
      givenUp.promise,
    ])
  } catch (cause) {
    throw signal?.aborted && cause instanceof Fault ? cause : connectionLost(cause)
  } finally {
    clearTimeout(late)
    signal?.removeEventListener("abort", onAbort)
    cancel.dispose()
  }
  return resultOf(reply)
}

export function connectionLost(cause: unknown): Fault {
  return new Fault("unavailable", "bus.connection_lost", "The other process is gone; try again.", { cause })
}

function handleTaken(): Fault {
  return new Fault("conflict", "bus.handle_taken", "Something is served under that handle already.")
}

function tooManyHandles(most: number): Fault {
  return new Fault("conflict", "bus.too_many", `One end serves and subscribes ${most} topics at the most.`)
}

/** Ends a connection whose other end does not answer any more. */
function watch(connection: MessageConnection, socket: Socket): void {
  connection.onRequest(pingMethod, () => null)
  let deadline: NodeJS.Timeout | undefined
  const ping = setInterval(() => {
    if (deadline !== undefined) return
    deadline = setTimeout(() => socket.destroy(new Error("the other end does not answer")), pingWithinMs)
    connection.sendRequest(pingMethod).then(
      () => {
        clearTimeout(deadline)
        deadline = undefined
      },
      () => {}, // the connection has ended, or will by the deadline
    )
  }, pingEveryMs)
  socket.once("close", () => {
    clearInterval(ping)
    clearTimeout(deadline)
  })
}

export interface ServePeerOptions {
  isWatched?: boolean
  /** What the other end may serve and subscribe at a time. */
  handlesMost?: number
  /** What this end is, for the other one; default: this program. */
  hello?: Hello
  /** Told what the other end is, and why it is refused, before it is answered. */
  onHello?: (hello: Hello, refusal: Fault | null) => void
  /** Throws when an end that speaks the protocol up to that version does not know the method; it is not sent then. */
  checkMethod?: (method: string, version: number) => void
}

/** What is known of the other end: nothing until it says it, and then it is of before there was a hello. */
class Greeting {
  readonly #options: ServePeerOptions
  #theirs: Hello = firstHello

  constructor(options: ServePeerOptions) {
    this.#options = options
  }

  get #own(): Hello {
    return this.#options.hello ?? ownHello()
  }

  hear(said: unknown): Hello {
    this.#theirs = readHello(said)
    let refusal: Fault | null = null
    try {
      this.version()
    } catch (error) {
      refusal = error as Fault // of agreedVersion
    }
    this.#options.onHello?.(this.#theirs, refusal)
    if (refusal) throw refusal
    return this.#own
  }

  /** Throws while they have none in common. */
  version(): number {
    return agreedVersion(this.#theirs, this.#own)
  }

  check(method: string): void {
    this.#options.checkMethod?.(method, this.version())
  }
}

/** Gives the process at the other end this bus. What it may do is what the bus it is given lets it do. */
export function servePeer(bus: Bus, socket: Socket, options: ServePeerOptions = {}): void {
  const { handlesMost = handlesMostDefault, isWatched = false } = options
  const connection = connectionOver(socket)
  const gone = new AbortController()
  const greeting = new Greeting(options)
  const handles = new Map<string, Promise<AsyncDisposable>>()
  const keep = async (handle: string, open: () => Promise<AsyncDisposable>) => {
    // Whatever stood there would be served on, and nobody could end it.
    if (handles.has(handle)) throw handleTaken()
    if (handles.size >= handlesMost) throw tooManyHandles(handlesMost)
    const opened = open()
    handles.set(handle, opened)
    try {
      await opened
    } catch (error) {
      handles.delete(handle)
      throw error
    }
  }
  const drop = async (handle: string) => {
    const opened = handles.get(handle)
    handles.delete(handle)
    await (await opened)?.[Symbol.asyncDispose]()
  }
  const on = (method: string, answer: (asked: Asked, signal: AbortSignal) => Promise<unknown>) =>
    connection.onRequest<WireReply, never>(method, (asked: Asked, token: CancellationToken) =>
      replyOf(async () => {
        greeting.version()
        return await answer(asked, AbortSignal.any([signalOf(token), gone.signal]))
      }),
    )
  connection.onRequest<WireReply, never>(helloMethod, (said: unknown) =>
    replyOf(async () => greeting.hear(said)),
  )
  on("call", (a, signal) => bus.call(a.topic, a.method, a.args, { timeoutMs: a.timeoutMs, signal }))
  on("cast", (a) => bus.cast(a.topic, a.method, a.args))
  on("publish", (a) => bus.publish(a.topic, a.args))
  on("close", (a) => drop(a.handle))
  on("subscribe", (a) => {
    const { handle } = a
    // An end that has gone hears nothing; what it listened to is closed with its connection.
    const deliver = (args: unknown) =>
      void connection.sendNotification("deliver", { handle, args }).catch(() => {})
    return keep(handle, () => bus.subscribe(a.topic, deliver))
  })
  on("serve", (a) => {
    const { handle } = a
    const pass: Handler = async (method, args, signal) => {
      greeting.check(method)
      return await ask(connection, "handle", { handle, method, args }, signal)
    }
    return keep(handle, () =>
      bus.serve(a.topic, pass, a.concurrency === null ? {} : { concurrency: a.concurrency }),
    )
  })
  socket.on("close", () => {
    gone.abort()
    connection.dispose()
    for (const handle of [...handles.keys()]) void drop(handle).catch(() => {}) // the bus itself is closing
  })
  if (isWatched) watch(connection, socket)
  connection.listen()
}

export interface PeerBusOptions {
  log?: Logger
  isWatched?: boolean
  /** What this end is; default: this program. */
  hello?: Hello
  /** The process with the bus is gone. Not called after the bus was closed here. */
  onLost?: () => void
}

/** The bus of the process at the other end of the connection. */
export class PeerBus implements Bus {
  readonly name = busName
  readonly #socket: Socket
  readonly #connection: MessageConnection
  readonly #log: Logger
  readonly #handlers = new Map<string, Handler>()
  readonly #listeners = new Map<string, (message: unknown) => void>()
  readonly #stop = new AbortController()
  readonly #hello: Hello | undefined
  #isClosed = false

  constructor(socket: Socket, options: PeerBusOptions) {
    this.#socket = socket
    this.#hello = options.hello
    this.#log = options.log ?? silentLogger
    this.#connection = connectionOver(socket)
    this.#connection.onRequest<WireReply, never>("handle", (asked: Asked, token: CancellationToken) =>
      replyOf(async () => await this.#handle(asked, signalOf(token))),
    )
    this.#connection.onNotification("deliver", (asked: Asked) => this.#deliver(asked))
    socket.on("error", (error) => this.#log.warn({ error: error.message }, "bus"))
    socket.on("close", () => {
      this.#connection.dispose()
      if (this.#isClosed) return
      this.#isClosed = true
      options.onLost?.()
    })
    if (options.isWatched) watch(this.#connection, socket)
    this.#connection.listen()
  }

  /** To be said first. What the other end is; throws when the two have no version in common. */
  async greet(): Promise<Hello> {
    const own = this.#hello ?? ownHello()
    const theirs = await this.#askHello(own)
    agreedVersion(own, theirs)
    return theirs
  }

  async #askHello(own: Hello): Promise<Hello> {
    let reply: unknown
    try {
      reply = await this.#connection.sendRequest<unknown>(helloMethod, own)
    } catch (cause) {
      if (cause instanceof ResponseError && cause.code === ErrorCodes.MethodNotFound) return firstHello
      throw connectionLost(cause)
    }
    return readHello(resultOf(reply))
  }

  async #handle(asked: Asked, signal: AbortSignal): Promise<unknown> {
    const handler = this.#handlers.get(asked.handle)
    if (!handler) throw busClosed(busName)
    return await handler(asked.method, asked.args, AbortSignal.any([signal, this.#stop.signal]))
  }

  #deliver(asked: Asked): void {
    try {
      this.#listeners.get(asked.handle)?.(asked.args)
    } catch (error) {
      this.#log.warn({ err: error }, "a subscriber failed")
    }
  }

  async #ask(method: string, params: Partial<Asked>, signal?: AbortSignal): Promise<unknown> {
    if (this.#isClosed) throw busClosed(busName)
    return await ask(this.#connection, method, params, signal)
  }

  async call(topic: string, method: string, args: unknown, options: CallOptions): Promise<unknown> {
    options.signal?.throwIfAborted()
    const params = { topic, method, args: args ?? null, timeoutMs: options.timeoutMs }
    return await this.#ask("call", params, options.signal)
  }

  async cast(topic: string, method: string, args: unknown): Promise<void> {
    await this.#ask("cast", { topic, method, args: args ?? null })
  }

  async publish(topic: string, message: unknown): Promise<void> {
    await this.#ask("publish", { topic, args: message ?? null })
  }

  async serve(
    topic: string,
    handler: Handler,
    options: { concurrency?: number } = {},
  ): Promise<AsyncDisposable> {
    const handle = randomUUID()
    this.#handlers.set(handle, handler)
    await this.#ask("serve", { topic, handle, concurrency: options.concurrency ?? null })
    return this.#open(handle, () => this.#handlers.delete(handle))
  }

  async subscribe(topic: string, onMessage: (message: unknown) => void): Promise<AsyncDisposable> {
    const handle = randomUUID()
    this.#listeners.set(handle, onMessage)
    await this.#ask("subscribe", { topic, handle })
    return this.#open(handle, () => this.#listeners.delete(handle))
  }

  #open(handle: string, forget: () => void): AsyncDisposable {
    return {
      [Symbol.asyncDispose]: async () => {
        // Whoever serves hears first that it is over; closing waits for what it works on.
        if (!this.#isClosed) await this.#ask("close", { handle }).catch(() => {})
        forget()
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stop.abort()
    const closed = new Promise((resolve) => this.#socket.once("close", resolve))
    this.#socket.end()
    this.#socket.destroySoon()
    // Where the other end takes nothing any more there is nothing to wait for.
    const late = setTimeout(() => this.#socket.destroy(), closeWithinMs)
    await closed
    clearTimeout(late)
  }
}
