import { Type } from "typebox"
import { configSection, type SectionOf } from "../config/config.ts"

const count = (value: number, description: string) =>
  Type.Integer({ minimum: 1, default: value, description })

export const databaseSection = configSection(
  "database",
  Type.Object({
    requestConnections: count(
      16,
      "Connections of a process for requests. More than the database has cores only helps while requests wait for " +
        "locks or disk; each costs PostgreSQL some 5 MB once used.",
    ),
    workConnections: count(
      16,
      "Connections of the process that works: sagas, reconcilers, events. Apart from those of requests, so that " +
        "neither can keep the other waiting. One more is for leases alone.",
    ),
    connectionWaitMs: count(
      5_000,
      "How long a request or a step waits for a free connection before it is told to try again later. Shorter than " +
        "engine.sagaLeaseMs.",
    ),
    statementTimeoutMs: count(60_000, "The longest that one statement may take."),
    requestLockTimeoutMs: count(
      15_000,
      "How long a request waits for a lock before it is told to try again.",
    ),
    workLockTimeoutMs: count(
      30_000,
      "How long a step or a reconciler waits for a lock before it is tried again.",
    ),
    idleInTransactionMs: count(
      60_000,
      "How long a transaction may do nothing before PostgreSQL ends it, with its locks and its snapshot.",
    ),
  }),
)

export type DatabaseConfig = SectionOf<typeof databaseSection>

declare module "../config/config.ts" {
  interface Config {
    readonly database: DatabaseConfig
  }
}
