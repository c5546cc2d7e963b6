// One JSON-RPC session with an ovsdb-server over a unix socket (RFC 7047, section 4). It does not come back
// once it ended; `client.ts` opens the next one.
import { createConnection, type Socket } from "node:net"
import { OvsdbError, OvsdbUnavailable } from "./errors.ts"
import { JsonStream } from "./json-stream.ts"

/** A northbound database of 10 000 ports is about 20 MB as JSON. */
const messageLimitChars = 256 * 1024 * 1024

interface Waiting {
  resolve: (result: unknown) => void
  reject: (error: Error) => void
  timer: NodeJS.Timeout
}

export interface Notification {
  method: string
  params: unknown[]
}

export class OvsdbConnection {
  readonly #socket: Socket
  readonly #waiting = new Map<number, Waiting>()
  readonly #onNotification: (notification: Notification) => void
  /** Resolves with the reason when the session has ended. */
  readonly closed: Promise<string>
  #nextId = 1
  #endReason: string | undefined

  private constructor(socket: Socket, onNotification: (notification: Notification) => void) {
    this.#socket = socket
    this.#onNotification = onNotification
    const stream = new JsonStream(messageLimitChars)
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const message of stream.push(chunk)) this.#receive(message)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)))
      }
    })
    this.closed = new Promise((resolve) => {
      let why = "closed by the server"
      socket.on("error", (error) => {
        why = error.message
      })
      socket.on("close", () => {
        this.#endReason ??= why
        for (const waiting of this.#waiting.values()) {
          clearTimeout(waiting.timer)
          waiting.reject(new OvsdbUnavailable(`ovsdb connection ended: ${this.#endReason}`))
        }
        this.#waiting.clear()
        resolve(this.#endReason)
      })
    })
  }

  static async open(
    socketPath: string,
    onNotification: (notification: Notification) => void,
    timeoutMs = 5_000,
  ): Promise<OvsdbConnection> {
    const socket = createConnection(socketPath)
    await new Promise<void>((resolve, reject) => {
      const fail = (why: string, cause?: unknown) => {
        clearTimeout(timer)
        socket.destroy()
        reject(new OvsdbUnavailable(`no connection to ${socketPath}: ${why}`, cause))
      }
      const timer = setTimeout(() => fail(`took longer than ${timeoutMs} ms`), timeoutMs)
      socket.once("error", (error) => fail(error.message, error))
      socket.once("connect", () => {
        clearTimeout(timer)
        socket.removeAllListeners("error")
        resolve()
      })
    })
    return new OvsdbConnection(socket, onNotification)
  }

  async request(method: string, params: readonly unknown[], timeoutMs = 30_000): Promise<unknown> {
    if (this.#endReason !== undefined)
      throw new OvsdbUnavailable(`ovsdb connection ended: ${this.#endReason}`)
    const id = this.#nextId++
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new OvsdbUnavailable(`ovsdb ${method}: no answer within ${timeoutMs} ms`))
      }, timeoutMs)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#socket.write(JSON.stringify({ method, params, id }))
    })
  }

  close(): void {
    this.#endReason ??= "closed by us"
    this.#socket.destroy()
  }

  #receive(message: unknown): void {
    if (typeof message !== "object" || message === null) throw new Error("JSON-RPC message is no object")
    const { id, method, params, result, error } = message as Record<string, unknown>
    if (typeof method === "string") {
      const list = Array.isArray(params) ? params : []
      // The server asks now and then whether we live, and drops us when we do not answer.
      if (method === "echo") this.#socket.write(JSON.stringify({ id, result: list, error: null }))
      else this.#onNotification({ method, params: list })
      return
    }
    const waiting = typeof id === "number" ? this.#waiting.get(id) : undefined
    if (!waiting || typeof id !== "number") return
    this.#waiting.delete(id)
    clearTimeout(waiting.timer)
    if (error === null || error === undefined) waiting.resolve(result)
    else waiting.reject(toError(error))
  }
}

function toError(error: unknown): OvsdbError {
  if (typeof error === "object" && error !== null) {
    const { error: name, details } = error as { error?: unknown; details?: unknown }
    return new OvsdbError(String(name ?? "error"), details === undefined ? undefined : String(details))
  }
  return new OvsdbError(String(error), undefined)
}
