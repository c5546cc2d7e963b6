import { type Caller, internalCaller } from "../auth/caller.ts"
import type { Bus } from "../bus/bus.ts"
import type { Clock } from "../clock/clock.ts"
import type { CloudEpoch } from "../cloud/epoch.ts"
import type { Config } from "../config/config.ts"
import type { Db } from "../db/database.ts"
import { newRequestId } from "../ids/ids.ts"
import type { Logger } from "../log/log.ts"
import type { PolicyEngine } from "../policy/policy.ts"
import type { Outbox, SagaStarter } from "./durable.ts"

/** Drivers and other run-time objects of the services; each service merges its own in with `declare module`. */
// biome-ignore lint/suspicious/noEmptyInterface: filled by declaration merging
export interface Drivers {}

/** What every part of the control plane may use. Made once in main.ts. */
export interface Platform {
  readonly db: Db
  readonly clock: Clock
  readonly log: Logger
  readonly config: Config
  readonly policy: PolicyEngine
  readonly bus: Bus
  readonly sagas: SagaStarter
  readonly outbox: Outbox
  readonly drivers: Drivers
  readonly epoch: CloudEpoch
}

/** The platform plus who asks. First argument of every operation. */
export interface Ctx extends Platform {
  readonly caller: Caller
  readonly requestId: string
  /** `http://host:port` as the client sees us, for links. */
  readonly baseUrl: string
  /** Null when the program itself asks. */
  readonly client: Client | null
  /** Null within an operation, and when no route asks. */
  readonly route: AskingRoute | null
}

export interface AskingRoute {
  /** `GET /networks` */
  readonly name: string
  /** Names of those that it may ask. */
  readonly operations: ReadonlySet<string>
}

/** Who is at the other end of the connection, as far as the request tells. */
export interface Client {
  readonly address: string
  readonly agent: string | null
  /** Given by a service that asks on behalf of its own caller. */
  readonly globalRequestId: string | null
}

export function makeCtx(
  platform: Platform,
  caller: Caller,
  requestId: string,
  baseUrl: string,
  client: Client | null = null,
  route: AskingRoute | null = null,
): Ctx {
  // By prototype and not by copy: nine fields for each request are not worth copying.
  return Object.assign(Object.create(platform) as Platform, { caller, requestId, baseUrl, client, route })
}

/** The same for what an operation calls: which operations those are is its own affair. */
export function insideOperation(ctx: Ctx): Ctx {
  if (ctx.route === null) return ctx
  // Beside it and not below it: an object that becomes a prototype costs ten times the rest of a small operation.
  const platform: Platform = Object.getPrototypeOf(ctx)
  return makeCtx(platform, ctx.caller, ctx.requestId, ctx.baseUrl, ctx.client)
}

/** For sagas, reconcilers and start-up. */
export function internalCtx(platform: Platform): Ctx {
  return makeCtx(platform, internalCaller, newRequestId(), platform.config.publicUrl)
}
