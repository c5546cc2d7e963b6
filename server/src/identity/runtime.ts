// What identity keeps in the memory of a process: keys, the hashing queue, the caches. Made once in main.ts.
import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { Clock } from "../platform/clock/clock.ts"
import type { Config } from "../platform/config/config.ts"
import { createLoginThrottle, type LoginThrottle } from "./auth/throttle.ts"
import { createHasher, type Hasher } from "./password/hasher.ts"
import { createIdentityCache, type IdentityCache } from "./token/cache.ts"
import { type KeyRing, openKeyRing } from "./token/key-ring.ts"

export interface IdentityRuntime {
  readonly tokenKeys: KeyRing
  /** For receipts of logins that are half done. */
  readonly receiptKeys: KeyRing
  /** For credentials in the database; never removed, as what they encrypted stays. */
  readonly credentialKeys: KeyRing
  readonly hasher: Hasher
  readonly throttle: LoginThrottle
  readonly cache: IdentityCache
}

declare module "../platform/context/context.ts" {
  interface Drivers {
    readonly identity: IdentityRuntime
  }
}

export async function openIdentityRuntime(config: Config, clock: Clock): Promise<IdentityRuntime> {
  const settings = config.identity
  const directory = (name: string) => join(config.dataDir, "identity", name)
  const lifetimeMs = (settings.tokenLifetimeSeconds + settings.allowExpiredWindowSeconds) * 1000
  const concurrency = settings.passwordHashConcurrency || Math.min(3, Math.max(1, availableParallelism() - 1))
  const ring = (name: string, messageLifetimeMs: number) =>
    openKeyRing({ directory: directory(name), clock, messageLifetimeMs })
  return {
    tokenKeys: await ring("fernet-keys", lifetimeMs),
    receiptKeys: await ring("receipt-keys", lifetimeMs),
    credentialKeys: await ring("credential-keys", Number.POSITIVE_INFINITY),
    hasher: createHasher({
      cost: { ln: settings.passwordHashCost, r: 8, p: 1 },
      concurrency,
      queueMax: settings.passwordHashQueueMax,
    }),
    throttle: createLoginThrottle({
      failuresMax: settings.loginFailuresPerMinuteMax,
      monotonicMs: () => clock.monotonicMs(),
    }),
    cache: createIdentityCache({
      clock,
      tokensMax: settings.tokenCacheSize,
      maxAgeMs: settings.tokenCacheSeconds * 1000,
    }),
  }
}
