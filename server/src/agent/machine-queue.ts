import { agentMachineBusy } from "./faults.ts"

/** Commands that may wait for one machine; a saga sends one at a time, so more means that something is wrong. */
const waitingMost = 32

/** One task at a time for each machine, in the order of arrival; machines do not wait for each other. */
export class MachineQueues {
  readonly #tails = new Map<string, Promise<void>>()
  readonly #waiting = new Map<string, number>()
  readonly #busy: (id: string) => Error

  /** `busy`: what is told to a command that would wait behind too many. */
  constructor(busy: (id: string) => Error = agentMachineBusy) {
    this.#busy = busy
  }

  /** `isOwn`: work of the agent itself, which must not be turned away. */
  async run<T>(serverId: string, task: () => Promise<T>, options: { isOwn?: boolean } = {}): Promise<T> {
    const waiting = this.#waiting.get(serverId) ?? 0
    if (!options.isOwn && waiting >= waitingMost) throw this.#busy(serverId)
    this.#waiting.set(serverId, waiting + 1)
    const before = this.#tails.get(serverId) ?? Promise.resolve()
    const result = before.then(task)
    const tail = result
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        const left = (this.#waiting.get(serverId) ?? 1) - 1
        if (left > 0) this.#waiting.set(serverId, left)
        else {
          this.#waiting.delete(serverId)
          this.#tails.delete(serverId)
        }
      })
    this.#tails.set(serverId, tail)
    return await result
  }

  /** Resolves when nothing is left to do. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}

/** Runs `task` for every item, at most `width` at once. */
export async function forEachLimited<T>(
  items: Iterable<T>,
  width: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]()
  const lane = async () => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) await task(next.value)
  }
  await Promise.all(Array.from({ length: width }, lane))
}
