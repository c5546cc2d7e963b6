/** Runs tasks in their order, at most `width` at once. A task must not reject. */
export class Lane {
  readonly #width: number
  readonly #waiting: (() => Promise<void>)[] = []
  #running = 0
  #idle: (() => void)[] = []

  constructor(width: number) {
    this.#width = width
  }

  add(task: () => Promise<void>): void {
    this.#waiting.push(task)
    this.#next()
  }

  /** Drops what has not begun, and waits for what has. */
  async whenIdle(): Promise<void> {
    this.#waiting.length = 0
    if (this.#running === 0) return
    await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  #next(): void {
    while (this.#running < this.#width) {
      const task = this.#waiting.shift()
      if (!task) return
      this.#running++
      void task().finally(() => {
        this.#running--
        this.#next()
        if (this.#running > 0) return
        for (const resolve of this.#idle) resolve()
        this.#idle = []
      })
    }
  }
}
