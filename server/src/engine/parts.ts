// What the parts of the engine are made with.
import type { Bus } from "../platform/bus/bus.ts"
import type { Clock } from "../platform/clock/clock.ts"
import type { Db } from "../platform/db/database.ts"
import type { Logger } from "../platform/log/log.ts"
import type { EngineConfig } from "./config.ts"

export interface EngineParts {
  config: EngineConfig
  bus: Bus
  clock: Clock
  log: Logger
  /** For the renewal of leases alone, so that it never waits for a connection; default: the one of the work. */
  leaseDb?: Db
}

/** Of a part that works by itself, without the platform. */
export interface EnginePartsWithDb extends EngineParts {
  db: Db
}
