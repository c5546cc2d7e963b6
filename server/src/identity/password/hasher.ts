// Hashing takes tens of milliseconds of one processor each, on libuv's threads. A queue of its own keeps a storm of
// logins from taking all of those threads (files and DNS use them too) and all processors.
import { Fault } from "../../platform/fault/fault.ts"
import { type HashCost, hashPassword, verifyPassword } from "./hash.ts"

export interface Hasher {
  hash(password: string): Promise<string>
  /** `encoded` null (no such user, no password): takes the same time and is false. */
  verify(password: string, encoded: string | null): Promise<boolean>
}

export interface HasherOptions {
  cost: HashCost
  /** Hashes at work at one time. */
  concurrency: number
  /** Hashes waiting, at the most; more are refused as `unavailable`. */
  queueMax: number
}

export function createHasher({ cost, concurrency, queueMax }: HasherOptions): Hasher {
  let running = 0
  const waiting: (() => void)[] = []
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= concurrency) {
      if (waiting.length >= queueMax) throw tooManyLogins()
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
  let decoy: Promise<string> | undefined
  return {
    hash: (password) => inTurn(() => hashPassword(password, cost)),
    async verify(password, encoded) {
      if (encoded !== null) return await inTurn(() => verifyPassword(password, encoded))
      decoy ??= hashPassword("no such user has this", cost)
      const text = await decoy
      await inTurn(() => verifyPassword(password, text))
      return false
    },
  }
}

function tooManyLogins(): Fault {
  return new Fault("unavailable", "identity.login.queue_full", "Too many logins at this moment; try again.", {
    retryAfterMs: 1_000,
  })
}
