// Hashing on threads of its own (hash-thread.ts): not on libuv's, which files and DNS need, and with less claim on the
// processors than the event loop has. They are made when they are needed and end when nobody logs in.
import { Worker } from "node:worker_threads"
import type { Derive } from "./hash.ts"
import type { HashJob } from "./hash-thread.ts"

/** A thread keeps some 8 MB. */
const idleMs = 30_000

export function createHashThreads(): Derive {
  const idle: HashThread[] = []
  return async (job) => {
    const thread = idle.pop() ?? new HashThread()
    try {
      const hash = await thread.run(job)
      idle.push(thread)
      thread.endLater(() => idle.splice(idle.indexOf(thread), 1))
      return hash
    } catch (error) {
      thread.end()
      throw error
    }
  }
}

class HashThread {
  readonly #worker = new Worker(new URL("./hash-thread.ts", import.meta.url))
  #timer: NodeJS.Timeout | undefined

  async run(job: HashJob): Promise<Buffer> {
    clearTimeout(this.#timer)
    // Only while somebody waits does it keep the process alive.
    this.#worker.ref()
    try {
      return await new Promise<Buffer>((resolve, reject) => {
        this.#worker.removeAllListeners()
        this.#worker.once("message", (hash: Uint8Array) => resolve(Buffer.from(hash)))
        this.#worker.once("error", reject)
        this.#worker.once("exit", (code) => reject(new Error(`the hashing thread ended with ${code}`)))
        this.#worker.postMessage(job)
      })
    } finally {
      this.#worker.unref()
    }
  }

  endLater(onEnd: () => void): void {
    this.#timer = setTimeout(() => {
      onEnd()
      this.end()
    }, idleMs)
    this.#timer.unref()
  }

  end(): void {
    this.#worker.removeAllListeners()
    // Of a thread that ends nothing is awaited any more.
    this.#worker.on("error", () => {})
    void this.#worker.terminate()
  }
}
