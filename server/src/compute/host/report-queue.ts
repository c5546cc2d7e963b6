// What hosts report waits here for its turn: a host that says much must not take the database from the others. Of what
// is about the same thing only the newest counts.

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
