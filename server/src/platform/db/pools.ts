// The connections of a process, in pools that do not wait for each other: a burst of requests must not keep sagas from
// their rows, sagas not requests, and neither the renewal of leases, without which all work would be done twice.
import type { DatabaseConfig } from "./config.ts"
import "./config.ts" // declares the section where a program opens pools
import { type Db, openDatabase } from "./database.ts"

export interface Databases extends AsyncDisposable {
  readonly requests: Db
  readonly work: Db
  /** One connection, for what renews leases. */
  readonly leases: Db
}

/** `leaseMs`: the shortest lease; its renewal fails early enough to be tried again. */
export function openDatabases(connectionString: string, config: DatabaseConfig, leaseMs: number): Databases {
  const { connectionWaitMs, statementTimeoutMs, idleInTransactionMs } = config
  const common = { connectionString, connectionWaitMs, statementTimeoutMs, idleInTransactionMs }
  const requests = openDatabase({
    ...common,
    poolMax: config.requestConnections,
    lockTimeoutMs: config.requestLockTimeoutMs,
  })
  const work = openDatabase({
    ...common,
    poolMax: config.workConnections,
    lockTimeoutMs: config.workLockTimeoutMs,
  })
  const renewalMs = Math.ceil(leaseMs / 3)
  const leases = openDatabase({
    ...common,
    poolMax: 1,
    connectionWaitMs: renewalMs,
    statementTimeoutMs: renewalMs,
    lockTimeoutMs: renewalMs,
  })
  return {
    requests: requests.db,
    work: work.db,
    leases: leases.db,
    async [Symbol.asyncDispose]() {
      await Promise.all([requests, work, leases].map(({ pool }) => pool.end()))
    },
  }
}

/** Connections of a process at the most: the pools and the one that listens for changes of identity. */
export function connectionsOfProcess(config: DatabaseConfig): number {
  return config.requestConnections + config.workConnections + 2
}
