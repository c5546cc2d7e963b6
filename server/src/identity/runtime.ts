// What identity keeps in the memory of a process: keys, the hashing queue, the caches. Made once in main.ts.
import { availableParallelism } from "node:os"
import { join } from "node:path"
import type { Clock } from "../platform/clock/clock.ts"
import type { Config } from "../platform/config/config.ts"
import type { Db } from "../platform/db/database.ts"
import type { Logger } from "../platform/log/log.ts"
import type { Audit } from "./audit/audit.ts"
import { createAuditLog } from "./audit/audit-log.ts"
import { createLoginQueue } from "./audit/login-queue.ts"
import { createLoginThrottle, type LoginThrottle } from "./auth/throttle.ts"
import type { KeyRing } from "./keys/key-ring.ts"
import { type Keys, openKeys } from "./keys/keys.ts"
import { createHashThreads } from "./password/hash-threads.ts"
import { createHasher, type Hasher } from "./password/hasher.ts"
import type { IdentitySeed } from "./seed.ts"
import { createIdentityCache, type IdentityCache } from "./token/cache.ts"

export interface IdentityRuntime {
  /** For the connection that listens to the changes of other processes. */
  readonly connectionString: string
  /** Null in a process that only answers: another one seeds. */
  readonly seed: IdentitySeed | null
  readonly keys: Keys
  readonly tokenKeys: KeyRing
  /** For receipts of logins that are half done. */
  readonly receiptKeys: KeyRing
  /** For credentials in the database. */
  readonly credentialKeys: KeyRing
  readonly hasher: Hasher
  readonly throttle: LoginThrottle
  readonly cache: IdentityCache
  readonly audit: Audit
}

declare module "../platform/context/context.ts" {
  interface Drivers {
    readonly identity: IdentityRuntime
  }
}

export interface RuntimeOptions extends Pick<IdentityRuntime, "connectionString" | "seed"> {
  db: Db
  config: Config
  clock: Clock
  log: Logger
}

export async function openIdentityRuntime({
  db,
  config,
  clock,
  log,
  connectionString,
  seed,
}: RuntimeOptions): Promise<IdentityRuntime> {
  const settings = config.identity
  const concurrency = settings.passwordHashConcurrency || Math.min(3, Math.max(1, availableParallelism() - 1))
  const keys = await openKeys({ db, config, clock })
  return {
    connectionString,
    seed,
    keys,
    tokenKeys: keys.rings.token,
    receiptKeys: keys.rings.receipt,
    credentialKeys: keys.rings.credential,
    hasher: createHasher({
      derive: createHashThreads(),
      cost: { ln: settings.passwordHashCost, r: 8, p: 1 },
      concurrency,
      queueMax: settings.passwordHashQueueMax,
    }),
    throttle: createLoginThrottle({
      failuresMax: settings.loginFailuresPerMinuteMax,
      monotonicMs: () => clock.monotonicMs(),
    }),
    audit: {
      observerId: "identity",
      log: settings.isAuditLogKept
        ? createAuditLog({
            path: settings.auditLogFile || join(config.dataDir, "log", "audit.log"),
            bytesMax: settings.auditLogBytesMax,
            filesKept: settings.auditLogFilesKept,
            log,
          })
        : null,
      logins: createLoginQueue({
        clock,
        lengthMax: settings.auditQueueMax,
        failuresPerMinuteMax: settings.auditFailuresPerMinuteMax,
      }),
    },
    cache: createIdentityCache({
      clock,
      tokensMax: settings.tokenCacheSize,
      maxAgeMs: settings.tokenCacheSeconds * 1000,
    }),
  }
}
