// JSON-RPC messages on a socket, bounded in both directions: the other end may be a host that somebody has taken over.
// What is no message ends the connection, and so does an end that does not read what it is told.
import type { Socket } from "node:net"
import {
  AbstractMessageReader,
  AbstractMessageWriter,
  type DataCallback,
  type Disposable,
  type Message,
  type MessageWriter,
} from "vscode-jsonrpc/node"

/** The longest are consoles' logs, and lists of all machines of a host. */
const messageBytesMost = 32 * 1024 * 1024
const headBytesMost = 1_024
const headEnd = "\r\n\r\n"
/** What waits to be written. */
const backlogBytesMost = 64 * 1024 * 1024
/** What waits to be read; beyond it the other end waits. */
const aheadBytes = 256 * 1024

export class BoundedReader extends AbstractMessageReader {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #size = 0
  /** Of the message whose head has come; null before. */
  #wanted: number | null = null
  #isWorking = false

  constructor(socket: Socket) {
    super()
    this.#socket = socket
  }

  listen(callback: DataCallback): Disposable {
    const onData = (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#size += chunk.length
      if (this.#size > Math.max(this.#wanted ?? 0, aheadBytes)) this.#socket.pause()
      if (!this.#isWorking) this.#work(callback)
    }
    this.#socket.on("data", onData)
    this.#socket.on("error", (error) => this.fireError(error))
    this.#socket.on("close", () => this.fireClose())
    return { dispose: () => this.#socket.off("data", onData) }
  }

  /** A message at a time: the connection takes one a turn, and what is handed over sooner only piles up there. */
  #work(callback: DataCallback): void {
    try {
      const message = this.#next()
      this.#isWorking = message !== null
      // The connection itself trips over some that are none of JSON-RPC's.
      if (message !== null) callback(message)
    } catch (error) {
      this.#socket.destroy(error instanceof Error ? error : new Error(String(error)))
      return
    }
    if (this.#isWorking) setImmediate(() => this.#work(callback))
    else this.#socket.resume()
  }

  /** Null: it has not come whole. */
  #next(): Message | null {
    if (this.#wanted === null) {
      const head = this.#takeHead()
      if (head === null) return null
      this.#wanted = lengthIn(head)
    }
    if (this.#size < this.#wanted) return null
    const bytes = this.#take(this.#wanted)
    this.#wanted = null
    const message: unknown = JSON.parse(bytes.toString("utf8"))
    if (typeof message !== "object" || message === null) throw new Error("that is no message")
    // Which one it is the connection finds out.
    return message as Message
  }

  #takeHead(): string | null {
    if (this.#size === 0) return null
    // A head is short: looking for its end in few bytes is all there is to do, however they came.
    const start = Buffer.concat(this.#chunks, Math.min(this.#size, headBytesMost))
    const end = start.indexOf(headEnd)
    if (end >= 0) return this.#take(end + headEnd.length).toString("latin1")
    if (start.length === headBytesMost) throw new Error("the head of a message has no end")
    return null
  }

  #take(length: number): Buffer {
    const all = this.#chunks.length === 1 && this.#chunks[0] ? this.#chunks[0] : Buffer.concat(this.#chunks)
    this.#chunks = all.length > length ? [all.subarray(length)] : []
    this.#size -= length
    return all.subarray(0, length)
  }
}

function lengthIn(head: string): number {
  const [, digits] = /^content-length: *(\d{1,12}) *$/im.exec(head) ?? []
  if (digits === undefined) throw new Error("a message does not say its length")
  const length = Number(digits)
  if (length > messageBytesMost) throw new Error(`a message of ${length} bytes is too long`)
  return length
}

export class BoundedWriter extends AbstractMessageWriter implements MessageWriter {
  readonly #socket: Socket

  constructor(socket: Socket) {
    super()
    this.#socket = socket
    socket.on("error", (error) => this.fireError(error))
    socket.on("close", () => this.fireClose())
  }

  async write(message: Message): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(message))
    if (this.#socket.writableLength > backlogBytesMost)
      this.#socket.destroy(new Error("the other end does not read"))
    this.#socket.cork()
    this.#socket.write(`Content-Length: ${bytes.length}${headEnd}`)
    const written = new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()))
    })
    this.#socket.uncork()
    await written
  }

  end(): void {
    this.#socket.end()
  }
}
