// Keys as a process has them in memory. The truth is in the database; whoever rotates tells all (`identity_keys`).
// A process that has not heard yet is no harm: what others sign with a key that it does not know was staged in its
// own memory before, and what it signs itself with the former key stays good for as long as it may live.
import type { Clock } from "../../platform/clock/clock.ts"
import { decryptFernet, encryptFernet, type FernetKey, type FernetMessage, parseFernetKey } from "./fernet.ts"
import type { StoredKey } from "./store.ts"

export interface KeyRing {
  /** Signs with the primary key. */
  encrypt(payload: Buffer, timestampSeconds: number): string
  decrypt(text: string): FernetMessage | null
  /** For what `decrypt` did not open: looks whether the database has keys that this process has not heard of. */
  decryptLate(text: string): Promise<FernetMessage | null>
  /** Whether it was made with an older key than the primary. */
  isOutdated(text: string): boolean
}

export interface LoadableRing extends KeyRing {
  load(keys: readonly StoredKey[]): void
}

/** How often messages that nothing opens make us ask the database, at the most. */
const lateIntervalMs = 1_000

export function createKeyRing(clock: Clock, refresh: () => Promise<void>): LoadableRing {
  let keys: readonly FernetKey[] = []
  let lateAtMs = Number.NEGATIVE_INFINITY
  const decrypt = (text: string) => decryptFernet(keys, text)
  return {
    load(stored) {
      const inOrder = [...stored].sort((a, b) => b.number - a.number)
      const signing = inOrder.filter((key) => key.primaryAt !== null)
      const staged = inOrder.filter((key) => key.primaryAt === null)
      keys = [...signing, ...staged].map((key) => parseFernetKey(key.text))
    },
    encrypt(payload, timestampSeconds) {
      const primary = keys[0]
      if (!primary) throw new Error("the key ring has no key")
      return encryptFernet(primary, payload, timestampSeconds)
    },
    decrypt,
    async decryptLate(text) {
      if (!text.startsWith("gAAAA") || clock.monotonicMs() - lateAtMs < lateIntervalMs) return null
      lateAtMs = clock.monotonicMs()
      await refresh()
      return decrypt(text)
    },
    isOutdated: (text) => decryptFernet(keys.slice(0, 1), text) === null,
  }
}
