// Work that only a few may do at one time: the others wait in order, and more than so many are refused.
export interface TurnsOptions {
  /** At work at one time. */
  concurrency: number
  /** Waiting, at the most. */
  queueMax: number
  /** What the one hears for whom there is no place to wait. */
  refuse: () => Error
}

export type InTurn = <T>(work: () => Promise<T>) => Promise<T>

export function createTurns({ concurrency, queueMax, refuse }: TurnsOptions): InTurn {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running >= concurrency) {
      if (waiting.length >= queueMax) throw refuse()
      // The one who ends hands its place over, so `running` stays as it is.
      await new Promise<void>((resolve) => waiting.push(resolve))
    } else running++
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
