// QEMU's machine protocol: one JSON object a line over a unix socket. The server greets, we leave the
// negotiation mode with qmp_capabilities, then answers carry the id of their command and events come at any time.
// QEMU serves one client at a time: a second connection is accepted and gets no greeting, hence the time limit.
import { createConnection, type Socket } from "node:net"
import { EventHub } from "../event-queue.ts"
import { QmpClosedError, QmpError, QmpProtocolError, QmpTimeoutError } from "./errors.ts"

export interface QmpEvent {
  event: string
  data: Record<string, unknown>
  /** Milliseconds since 1970, QEMU's clock; null when QEMU could not tell. */
  atMs: number | null
}

export interface QmpOptions {
  /** For the connection, the greeting and the negotiation together. */
  connectTimeoutMs?: number
  /** For a command whose call names none. */
  commandTimeoutMs?: number
  /** Every line that goes in or out, for debugging. */
  onWire?: (direction: "in" | "out", line: string) => void
}

interface Pending {
  command: string
  resolve: (value: unknown) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

const defaultConnectTimeoutMs = 5_000
/** QEMU answers at once, unless a disk keeps it: it flushes what it closes. */
const defaultCommandTimeoutMs = 30_000
/** The longest answers (query-qmp-schema) are below 300 KB. */
const lineLimitBytes = 8 * 1024 * 1024
const eventLimit = 1_024

export class QmpConnection implements AsyncDisposable {
  readonly #socket: Socket
  readonly #options: QmpOptions
  readonly #pending = new Map<number, Pending>()
  readonly #events = new EventHub<QmpEvent>(eventLimit)
  #lastId = 0
  #chunks: Buffer[] = []
  #chunkBytes = 0
  #isClosed = false
  #onGreeting: ((error: Error | null) => void) | null = null
  #greetingVersion = ""
  /** Resolves when the connection is over, with the reason where there is one. Never rejects. */
  readonly closed: Promise<Error | null>
  #resolveClosed: (reason: Error | null) => void = () => {}

  private constructor(socket: Socket, options: QmpOptions) {
    this.#socket = socket
    this.#options = options
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve
    })
    socket.on("data", (chunk) => this.#read(chunk))
    socket.on("error", (error) => this.#end(error))
    socket.on("close", () => this.#end(null))
  }

  /** Connects, waits for the greeting and negotiates. */
  static async connect(path: string, options: QmpOptions = {}): Promise<QmpConnection> {
    const timeoutMs = options.connectTimeoutMs ?? defaultConnectTimeoutMs
    const socket = createConnection({ path })
    const connection = new QmpConnection(socket, options)
    try {
      await connection.#greeted(path, timeoutMs)
      await connection.execute("qmp_capabilities", {}, { timeoutMs })
      return connection
    } catch (error) {
      await connection.close()
      throw error
    }
  }

  /** As QEMU greets, e.g. "7.2.22". */
  get version(): string {
    return this.#greetingVersion
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Sends a command and resolves with what it returns. Typed commands are in commands.ts. */
  async execute(
    command: string,
    args: Record<string, unknown> = {},
    options: { timeoutMs?: number } = {},
  ): Promise<unknown> {
    if (this.#isClosed) throw new QmpClosedError(command)
    const id = ++this.#lastId
    const timeoutMs = options.timeoutMs ?? this.#options.commandTimeoutMs ?? defaultCommandTimeoutMs
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id)
        reject(new QmpTimeoutError(command, timeoutMs))
      }, timeoutMs)
      this.#pending.set(id, { command, resolve, reject, timer })
      const line = JSON.stringify(
        Object.keys(args).length > 0 ? { execute: command, arguments: args, id } : { execute: command, id },
      )
      this.#options.onWire?.("out", line)
      this.#socket.write(`${line}\n`)
    })
  }

  /** Events from now on, until the signal or the end of the connection. */
  events(signal?: AbortSignal): AsyncIterableIterator<QmpEvent> {
    const stream = this.#events.subscribe(signal)
    if (this.#isClosed) void stream.return?.()
    return stream
  }

  async close(): Promise<void> {
    this.#socket.destroy()
    this.#end(null)
    await this.closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #greeted(path: string, timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => this.#onGreeting?.(new QmpTimeoutError(`greeting on ${path}`, timeoutMs)),
        timeoutMs,
      )
      this.#onGreeting = (error) => {
        clearTimeout(timer)
        this.#onGreeting = null
        if (error) reject(error)
        else resolve()
      }
    })
  }

  #read(chunk: Buffer): void {
    let rest = chunk
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      this.#chunks.push(rest.subarray(0, end))
      const line = Buffer.concat(this.#chunks).toString().trim()
      this.#chunks = []
      this.#chunkBytes = 0
      rest = rest.subarray(end + 1)
      if (line !== "") this.#line(line)
      if (this.#isClosed) return
    }
    this.#chunks.push(rest)
    this.#chunkBytes += rest.length
    if (this.#chunkBytes > lineLimitBytes) {
      this.#fail(new QmpProtocolError(`a line is longer than ${lineLimitBytes} bytes`))
    }
  }

  #line(line: string): void {
    this.#options.onWire?.("in", line)
    let message: unknown
    try {
      message = JSON.parse(line)
    } catch {
      this.#fail(new QmpProtocolError(`not JSON: ${line.slice(0, 200)}`))
      return
    }
    if (!isRecord(message)) {
      this.#fail(new QmpProtocolError(`not an object: ${line.slice(0, 200)}`))
      return
    }
    if ("QMP" in message) this.#greet(message.QMP)
    else if (typeof message.event === "string") this.#events.publish(parseEvent(message))
    else if ("return" in message || "error" in message) this.#answer(message)
    else this.#fail(new QmpProtocolError(`neither answer nor event: ${line.slice(0, 200)}`))
  }

  #greet(greeting: unknown): void {
    const version = isRecord(greeting) && isRecord(greeting.version) ? greeting.version.qemu : null
    if (isRecord(version)) {
      this.#greetingVersion = [version.major, version.minor, version.micro].join(".")
    }
    this.#onGreeting?.(null)
  }

  #answer(message: Record<string, unknown>): void {
    const id = message.id
    // An answer without id belongs to a line that QEMU could not parse; one with an unknown id came too late.
    const pending = typeof id === "number" ? this.#pending.get(id) : undefined
    if (!pending || typeof id !== "number") return
    this.#pending.delete(id)
    clearTimeout(pending.timer)
    const error = message.error
    if (isRecord(error)) {
      pending.reject(new QmpError(pending.command, String(error.class), String(error.desc)))
    } else pending.resolve(message.return)
  }

  #fail(error: Error): void {
    this.#end(error)
    this.#socket.destroy()
  }

  #end(reason: Error | null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#onGreeting?.(reason ?? new QmpClosedError("greeting"))
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer)
      pending.reject(new QmpClosedError(pending.command, reason ?? undefined))
    }
    this.#pending.clear()
    this.#events.end()
    this.#resolveClosed(reason)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function parseEvent(message: Record<string, unknown>): QmpEvent {
  const stamp = message.timestamp
  const seconds = isRecord(stamp) ? Number(stamp.seconds) : -1
  const micros = isRecord(stamp) ? Number(stamp.microseconds) : -1
  return {
    event: String(message.event),
    data: isRecord(message.data) ? message.data : {},
    atMs: seconds >= 0 ? seconds * 1000 + Math.floor(micros / 1000) : null,
  }
}
