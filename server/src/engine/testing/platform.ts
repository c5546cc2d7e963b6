// A platform made by hand for tests of durable work: real PostgreSQL, bus within the process, quick timings.
import { createMemoryBus } from "../../platform/bus/memory-bus.ts"
import { systemClock } from "../../platform/clock/clock.ts"
import { type Config, loadConfig } from "../../platform/config/config.ts"
import type { Drivers, Platform } from "../../platform/context/context.ts"
import type { Outbox, SagaStarter } from "../../platform/context/durable.ts"
import type { Db } from "../../platform/db/database.ts"
import { type Logger, silentLogger } from "../../platform/log/log.ts"
import { PolicyEngine } from "../../platform/policy/policy.ts"
import type { EngineConfig } from "../config.ts"
import { createOutbox, type OutboxRunner } from "../outbox/outbox.ts"
import type { WriteProbe } from "../saga/run.ts"
import { createSagaRunner, type SagaRunner } from "../saga/runner.ts"

export interface TestPlatformOptions {
  config?: Partial<EngineConfig>
  log?: Logger
  probe?: WriteProbe
  leaseDb?: Db
}

export interface TestPlatform extends Platform {
  readonly sagas: SagaRunner & SagaStarter
  readonly outbox: OutboxRunner & Outbox
}

/** Waits that fit a test: retries at once; leases long enough for a busy machine. */
const quick: Partial<EngineConfig> = {
  sagaLeaseMs: 3_000,
  sagaPollMs: 50,
  sagaRetryFirstMs: 1,
  sagaRetryMostMs: 5,
  sagaDoAttemptsMost: 3,
  sagaUndoAttemptsMost: 4,
  sagaWaitMostMs: 5,
  sagaWaitAlarm: 6,
  sagaSettleMs: 50,
  stopGraceMs: 2_000,
  outboxPollMs: 100,
  outboxLeaseMs: 3_000,
  reconcilerLeaseMs: 3_000,
}

export function testPlatform(db: Db, options: TestPlatformOptions = {}): TestPlatform {
  const loaded = loadConfig({
    env: {},
    // Only the sections that are imported here are read; durable work needs no other.
    base: {
      dataDir: "/nonexistent",
      publicUrl: "http://127.0.0.1:5000",
      region: "RegionOne",
      host: "test",
    } as Config,
  })
  const config = { ...loaded, engine: { ...loaded.engine, ...quick, ...options.config } }
  const log = options.log ?? silentLogger
  const bus = createMemoryBus(log)
  const parts = { config: config.engine, bus, clock: systemClock, log }
  return {
    db,
    clock: systemClock,
    log,
    config,
    policy: new PolicyEngine(),
    bus,
    sagas: createSagaRunner({
      ...parts,
      ...(options.probe ? { probe: options.probe } : {}),
      ...(options.leaseDb ? { leaseDb: options.leaseDb } : {}),
    }),
    outbox: createOutbox({ ...parts, db }),
    drivers: {} as Drivers, // durable work uses none
    epoch: { number: 1, id: "00000000-0000-4000-8000-000000000001" },
  }
}
