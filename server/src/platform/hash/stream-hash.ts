// Hash sums and signatures of what streams through us (uploads), on threads of their own (hash-thread.ts): a GB takes
// seconds, and the event loop that it would take them from answers everybody. Few threads, started when they are needed
// and ended when nothing has been hashed for a while; a stream stays on one of them, since its pieces have an order.
import { availableParallelism } from "node:os"
import { Worker } from "node:worker_threads"
import type { FromThread, StreamSum, ToThread } from "./hash-thread.ts"

export type { StreamSignature } from "./hash-thread.ts"

export interface StreamHash extends Disposable {
  /** Resolves when more may come. The bytes are copied. */
  update(chunk: Uint8Array): Promise<void>
  /** In the order in which they were asked for; nothing may come after. */
  digests(): Promise<string[]>
}

const threadsMost = Math.min(4, availableParallelism())
const idleMs = 30_000
/** Bytes that go to a thread at one time. */
const pieceBytes = 256 * 1024
/** Of a stream, on their way to its thread. */
const aheadBytesMost = 8 * pieceBytes

const threads: HashThread[] = []
let lastId = 0

/** Dispose it, also after a failure: it keeps its thread. */
export function openStreamHash(sums: readonly StreamSum[]): StreamHash {
  const free = threads.toSorted((a, b) => a.streamCount - b.streamCount)[0]
  const isFull = threads.length >= threadsMost
  const thread = free && (free.streamCount === 0 || isFull) ? free : new HashThread()
  return new OpenStream(thread, sums)
}

class OpenStream implements StreamHash {
  readonly #id = ++lastId
  readonly #thread: HashThread
  #piece = Buffer.allocUnsafeSlow(pieceBytes)
  #filled = 0
  #aheadBytes = 0
  #isEnded = false
  #failure: Error | undefined
  /** Who waits for room or for the sums. */
  #waiting: { resolve: (sums: string[]) => void; reject: (error: Error) => void } | undefined

  constructor(thread: HashThread, sums: readonly StreamSum[]) {
    this.#thread = thread
    thread.add(this.#id, this)
    thread.send({ kind: "open", id: this.#id, sums })
  }

  async update(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; ) {
      const part = chunk.subarray(at, at + pieceBytes - this.#filled)
      this.#piece.set(part, this.#filled)
      this.#filled += part.byteLength
      at += part.byteLength
      if (this.#filled === pieceBytes) this.#flush()
    }
    if (this.#failure) throw this.#failure
    if (this.#aheadBytes > aheadBytesMost) await this.#wait()
  }

  async digests(): Promise<string[]> {
    this.#flush()
    if (this.#failure) throw this.#failure
    this.#isEnded = true
    const sums = this.#wait()
    this.#thread.send({ kind: "end", id: this.#id })
    return await sums
  }

  #wait(): Promise<string[]> {
    const { promise, resolve, reject } = Promise.withResolvers<string[]>()
    this.#waiting = { resolve, reject }
    return promise
  }

  #flush(): void {
    if (this.#filled === 0) return
    const bytes = this.#piece.subarray(0, this.#filled)
    this.#aheadBytes += this.#filled
    // Handed over and not copied again.
    this.#thread.send({ kind: "data", id: this.#id, bytes }, [this.#piece.buffer])
    this.#piece = Buffer.allocUnsafeSlow(pieceBytes)
    this.#filled = 0
  }

  hear(message: FromThread): void {
    if (message.kind === "digests") {
      this.#waiting?.resolve(message.sums)
      return
    }
    this.#aheadBytes -= message.sizeBytes
    // Half, so that not each piece wakes it. Who waits for the sums has sent all and is told by them.
    if (!this.#isEnded && this.#aheadBytes <= aheadBytesMost / 2) this.#waiting?.resolve([])
  }

  fail(error: Error): void {
    this.#failure = error
    this.#waiting?.reject(error)
  }

  [Symbol.dispose](): void {
    this.#thread.remove(this.#id)
  }
}

class HashThread {
  readonly #worker = new Worker(new URL("./hash-thread.ts", import.meta.url))
  readonly #streams = new Map<number, OpenStream>()
  #timer: NodeJS.Timeout | undefined

  constructor() {
    threads.push(this)
    this.#worker.on("message", (message: FromThread) => this.#streams.get(message.id)?.hear(message))
    this.#worker.on("error", (error) => this.#end(error))
    this.#worker.on("exit", (code) => this.#end(new Error(`the hashing thread ended with ${code}`)))
  }

  get streamCount(): number {
    return this.#streams.size
  }

  add(id: number, stream: OpenStream): void {
    clearTimeout(this.#timer)
    this.#streams.set(id, stream)
    // Only while there is something to hash does it keep the process alive.
    this.#worker.ref()
  }

  remove(id: number): void {
    if (!this.#streams.delete(id)) return
    this.send({ kind: "drop", id })
    if (this.#streams.size > 0) return
    this.#worker.unref()
    this.#timer = setTimeout(() => void this.#worker.terminate(), idleMs)
    this.#timer.unref()
  }

  send(message: ToThread, handedOver: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, handedOver)
  }

  #end(error: Error): void {
    clearTimeout(this.#timer)
    const at = threads.indexOf(this)
    if (at >= 0) threads.splice(at, 1)
    for (const stream of this.#streams.values()) stream.fail(error)
  }
}
