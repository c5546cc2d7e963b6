/** A bounded queue between one producer of events and one reader; the oldest are dropped when nobody reads. */
export class EventQueue<T> implements AsyncIterableIterator<T> {
  readonly #limit: number
  readonly #onEnd: () => void
  #waiting: ((result: IteratorResult<T>) => void)[] = []
  #items: T[] = []
  #isEnded = false
  dropped = 0

  constructor(limit: number, onEnd: () => void = () => {}) {
    this.#limit = limit
    this.#onEnd = onEnd
  }

  push(item: T): void {
    if (this.#isEnded) return
    const reader = this.#waiting.shift()
    if (reader) {
      reader({ value: item, done: false })
      return
    }
    this.#items.push(item)
    if (this.#items.length > this.#limit) {
      this.#items.shift()
      this.dropped++
    }
  }

  /** What is queued can still be read; then the iteration is over. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const reader of this.#waiting) reader({ value: undefined, done: true })
    this.#waiting = []
    this.#onEnd()
  }

  async next(): Promise<IteratorResult<T>> {
    const item = this.#items.shift()
    if (item !== undefined) return { value: item, done: false }
    if (this.#isEnded) return { value: undefined, done: true }
    return await new Promise((resolve) => this.#waiting.push(resolve))
  }

  async return(): Promise<IteratorResult<T>> {
    this.#items = []
    this.end()
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<T> {
    return this
  }
}

/** One producer, any number of readers, each with a queue of its own. */
export class EventHub<T> {
  readonly #queues = new Set<EventQueue<T>>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  publish(item: T): void {
    for (const queue of this.#queues) queue.push(item)
  }

  /** Registered at once, so nothing published after this call is missed. */
  subscribe(signal?: AbortSignal): AsyncIterableIterator<T> {
    const queue: EventQueue<T> = new EventQueue(this.#limit, () => {
      this.#queues.delete(queue)
      signal?.removeEventListener("abort", end)
    })
    const end = () => queue.end()
    this.#queues.add(queue)
    if (signal?.aborted) queue.end()
    else signal?.addEventListener("abort", end, { once: true })
    return queue
  }

  end(): void {
    for (const queue of [...this.#queues]) queue.end()
  }
}
