// The bus of several processes of one host: one of them has the bus, the others reach it over a unix socket.
//
// The socket is mode 0600 and each message is JSON-RPC, so what travels is data and nothing else. A process whose
// connection breaks has lost the one that runs the cloud: it hears of it by `onLost` and has nothing left to do.
import { randomUUID } from "node:crypto"
import { chmodSync, rmSync } from "node:fs"
import { connect as connectSocket, createServer, type Socket } from "node:net"
import {
  type CancellationToken,
  CancellationTokenSource,
  createMessageConnection,
  type MessageConnection,
  SocketMessageReader,
  SocketMessageWriter,
} from "vscode-jsonrpc/node"
import { Fault } from "../fault/fault.ts"
import { type Logger, silentLogger } from "../log/log.ts"
import type { Bus, CallOptions, Handler } from "./bus.ts"
import { busClosed, decodeFault, encodeFault, type WireReply } from "./fault-wire.ts"

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

function connectionOver(socket: Socket): MessageConnection {
  return createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket))
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
  const onAbort = () => cancel.cancel()
  signal?.addEventListener("abort", onAbort, { once: true })
  let reply: WireReply
  try {
    reply = await connection.sendRequest<WireReply>(method, params, cancel.token)
  } catch (cause) {
    throw lost(cause)
  } finally {
    signal?.removeEventListener("abort", onAbort)
    cancel.dispose()
  }
  if ("fault" in reply) throw decodeFault(reply.fault)
  return reply.result
}

function lost(cause: unknown): Fault {
  return new Fault("unavailable", "bus.connection_lost", "The other process is gone; try again.", { cause })
}

/** Opens this process's bus to others of the host. */
export async function serveBus(
  bus: Bus,
  socketPath: string,
  log: Logger = silentLogger,
): Promise<AsyncDisposable> {
  rmSync(socketPath, { force: true })
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("error", (error) => log.debug({ error: error.message }, "a process left the bus"))
    socket.on("close", () => sockets.delete(socket))
    servePeer(bus, socket)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(socketPath, resolve)
  })
  chmodSync(socketPath, 0o600)
  return {
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
      rmSync(socketPath, { force: true })
    },
  }
}

function servePeer(bus: Bus, socket: Socket): void {
  const connection = connectionOver(socket)
  const gone = new AbortController()
  const handles = new Map<string, Promise<AsyncDisposable>>()
  const keep = async (handle: string, opened: Promise<AsyncDisposable>) => {
    handles.set(handle, opened)
    await opened
  }
  const drop = async (handle: string) => {
    const opened = handles.get(handle)
    handles.delete(handle)
    await (await opened)?.[Symbol.asyncDispose]()
  }
  const on = (method: string, answer: (asked: Asked, signal: AbortSignal) => Promise<unknown>) =>
    connection.onRequest<WireReply, never>(method, (asked: Asked, token: CancellationToken) =>
      replyOf(() => answer(asked, AbortSignal.any([signalOf(token), gone.signal]))),
    )
  on("call", (a, signal) => bus.call(a.topic, a.method, a.args, { timeoutMs: a.timeoutMs, signal }))
  on("cast", (a) => bus.cast(a.topic, a.method, a.args))
  on("publish", (a) => bus.publish(a.topic, a.args))
  on("close", (a) => drop(a.handle))
  on("subscribe", (a) => {
    const { handle } = a
    const deliver = (args: unknown) => void connection.sendNotification("deliver", { handle, args })
    return keep(handle, bus.subscribe(a.topic, deliver))
  })
  on("serve", (a) => {
    const { handle } = a
    const pass: Handler = (method, args, signal) =>
      ask(connection, "handle", { handle, method, args }, signal)
    return keep(
      handle,
      bus.serve(a.topic, pass, a.concurrency === null ? {} : { concurrency: a.concurrency }),
    )
  })
  socket.on("close", () => {
    gone.abort()
    connection.dispose()
    for (const handle of [...handles.keys()]) void drop(handle).catch(() => {}) // the bus itself is closing
  })
  connection.listen()
}

export interface SocketBusOptions {
  socketPath: string
  log?: Logger
  /** The process with the bus is gone. Not called after the bus was closed here. */
  onLost?: () => void
}

class SocketBus implements Bus {
  readonly name = busName
  readonly #socket: Socket
  readonly #connection: MessageConnection
  readonly #log: Logger
  readonly #handlers = new Map<string, Handler>()
  readonly #listeners = new Map<string, (message: unknown) => void>()
  readonly #stop = new AbortController()
  #isClosed = false

  constructor(socket: Socket, options: SocketBusOptions) {
    this.#socket = socket
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
    this.#connection.listen()
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
    await closed
  }
}

export async function openSocketBus(options: SocketBusOptions): Promise<Bus> {
  const socket = connectSocket(options.socketPath)
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve)
    socket.once("error", (cause) => reject(lost(cause)))
  })
  return new SocketBus(socket, options)
}
