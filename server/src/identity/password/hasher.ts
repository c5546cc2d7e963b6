// Hashing takes tens of milliseconds of one processor each. A queue of its own keeps a storm of logins from taking all
// processors and all memory.
import { createTurns } from "../../platform/clock/turns.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { type Derive, type HashCost, hashPassword, verifyPassword } from "./hash.ts"

export interface Hasher {
  hash(password: string): Promise<string>
  /** `encoded` null (no such user, no password): takes the same time and is false. */
  verify(password: string, encoded: string | null): Promise<boolean>
}

export interface HasherOptions {
  derive: Derive
  cost: HashCost
  /** Hashes at work at one time. */
  concurrency: number
  /** Hashes waiting, at the most; more are refused as `unavailable`. */
  queueMax: number
}

export function createHasher({ cost, concurrency, queueMax, derive }: HasherOptions): Hasher {
  const inTurn = createTurns({ concurrency, queueMax, refuse: tooManyLogins })
  let decoy: Promise<string> | undefined
  return {
    hash: (password) => inTurn(() => hashPassword(password, cost, derive)),
    async verify(password, encoded) {
      if (encoded !== null) return await inTurn(() => verifyPassword(password, encoded, derive))
      decoy ??= hashPassword("no such user has this", cost, derive)
      const text = await decoy
      await inTurn(() => verifyPassword(password, text, derive))
      return false
    },
  }
}

function tooManyLogins(): Fault {
  return new Fault("unavailable", "identity.login.queue_full", "Too many logins at this moment; try again.", {
    retryAfterMs: 1_000,
  })
}
