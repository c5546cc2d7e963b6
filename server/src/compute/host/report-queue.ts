// What hosts report waits here for its turn: a host that says much must not take the database from the others. Of what
// is about the same thing only the newest counts.

/** A statement of more would hold its rows for long. */
const gatheredMost = 500

export class ReportQueue<T> {
  readonly #width: number
  readonly #work: (report: T) => Promise<void>
  readonly #hosts = new Map<string, { waiting: Map<string, T>; running: number }>()

  /** `width`: reports of one host that are worked on at once. `work` must not reject. */
  constructor(width: number, work: (report: T) => Promise<void>) {
    this.#width = width
    this.#work = work
  }

  add(host: string, about: string, report: T): void {
    const queue = this.#hosts.get(host) ?? { waiting: new Map<string, T>(), running: 0 }
    this.#hosts.set(host, queue)
    queue.waiting.set(about, report)
    if (queue.running < this.#width) void this.#drain(host, queue)
  }

  async #drain(host: string, queue: { waiting: Map<string, T>; running: number }): Promise<void> {
    queue.running++
    for (const [about, report] of queue.waiting) {
      queue.waiting.delete(about)
      await this.#work(report)
    }
    queue.running--
    if (queue.running === 0 && queue.waiting.size === 0) this.#hosts.delete(host)
  }
}

/** What comes while others are worked on waits, and is worked on together: the more comes, the less each costs. */
export class GatheringQueue<T> {
  readonly #work: (reports: readonly T[]) => Promise<void>
  readonly #waiting = new Map<string, T>()
  #isRunning = false

  /** `work` must not reject. */
  constructor(work: (reports: readonly T[]) => Promise<void>) {
    this.#work = work
  }

  add(host: string, report: T): void {
    this.#waiting.set(host, report)
    if (!this.#isRunning) void this.#drain()
  }

  async #drain(): Promise<void> {
    this.#isRunning = true
    while (this.#waiting.size > 0) {
      const some = [...this.#waiting].slice(0, gatheredMost)
      for (const [host] of some) this.#waiting.delete(host)
      await this.#work(some.map(([, report]) => report))
    }
    this.#isRunning = false
  }
}
