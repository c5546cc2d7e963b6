// One or two services with their wires over HTTP, without identity and without engines: tokens are words.
import { mkdtemp, rm } from "node:fs/promises"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import "../src/engine/config.ts"
import { createOutbox } from "../src/engine/outbox/outbox.ts"
import { createSagaRunner, type SagaRunner } from "../src/engine/saga/runner.ts"
import { apisOf, type Service } from "../src/engine/service.ts"
import { identityService } from "../src/identity/service.ts"
import type { Caller } from "../src/platform/auth/caller.ts"
import { createMemoryBus } from "../src/platform/bus/memory-bus.ts"
import { systemClock } from "../src/platform/clock/clock.ts"
import { type Config, loadConfig } from "../src/platform/config/config.ts"
import { type Ctx, makeCtx, type Platform } from "../src/platform/context/context.ts"
import { openDatabase } from "../src/platform/db/database.ts"
import { Fault } from "../src/platform/fault/fault.ts"
import { type Authenticate, createHttpServer } from "../src/platform/http/server.ts"
import { newRequestId, newUuid } from "../src/platform/ids/ids.ts"
import { createLogger, silentLogger } from "../src/platform/log/log.ts"
import { PolicyEngine } from "../src/platform/policy/policy.ts"
import { openTestDatabase, type TestDatabase } from "./database.ts"
import { assertNothingUndeclared } from "./notes.ts"

export interface ServiceReply {
  status: number
  headers: Headers
  bytes: Buffer
  // biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
  body: any
}

export interface RequestOptions {
  /** `project` or `project:role,role`; default role: member. */
  as?: string
  /** Sent as JSON, or as it is when it is bytes. */
  body?: unknown
  headers?: Record<string, string>
}

export interface ServiceCloud extends AsyncDisposable {
  readonly platform: Platform
  readonly database: TestDatabase
  readonly sagas: SagaRunner
  readonly baseUrl: string
  ctx(as: string): Ctx
  request(method: string, path: string, options?: RequestOptions): Promise<ServiceReply>
}

/** The caller that the word stands for: `demo`, `admin:admin`, `p1:reader`. */
export function callerOf(word: string): Caller {
  const [project = "", roleText = "member"] = word.split(":")
  const roles = roleText.split(",")
  const implied = [
    ...(roles.includes("admin") ? ["member", "reader"] : []),
    ...(roles.includes("member") ? ["reader"] : []),
  ]
  return {
    userId: `user-of-${project}`,
    userName: project,
    userDomainId: "default",
    userDomainName: "Default",
    projectId: project,
    projectName: project,
    projectDomainId: "default",
    projectDomainName: "Default",
    isAdminProject: false,
    domainId: null,
    domainName: null,
    systemScope: null,
    roles: [...new Set([...roles, ...implied])],
    roleIds: [],
    token: null,
  }
}

export async function startServices(options: {
  services: readonly Service[]
  overrides?: Record<string, unknown>
  /** Default: the token is a word for the caller. */
  authenticate?: Authenticate
  /** Beside another one: on its database and in its directory. */
  beside?: { connectionString: string; dataDir: string }
}): Promise<ServiceCloud> {
  const { beside } = options
  const database = beside ? openBeside(beside.connectionString) : await openTestDatabase()
  const dataDir = beside?.dataDir ?? (await mkdtemp(join(tmpdir(), "kumoi-services-")))
  const base = { dataDir, publicUrl: "http://127.0.0.1", region: "RegionOne", host: "host1" }
  // The sections are loadConfig's to add.
  const config = loadConfig({ env: {}, base: base as Config, overrides: options.overrides ?? {} })
  const log = process.env.KUMOI_TEST_LOG ? createLogger({ level: "debug" }) : silentLogger
  await using stack = new AsyncDisposableStack()
  if (!beside) stack.defer(() => rm(dataDir, { recursive: true, force: true }))
  stack.use(database)
  const bus = stack.use(createMemoryBus(log))
  const policy = new PolicyEngine()
  for (const service of options.services) policy.declare(service.policies)
  // Every service's rules stand on who is an administrator, which identity says.
  if (!options.services.some((service) => service.name === "identity"))
    policy.declare(identityService.policies)
  const durable = { config: config.engine, bus, clock: systemClock, log }
  const sagas = createSagaRunner(durable)
  const outbox = createOutbox({ ...durable, db: database.db })
  const platform: Platform = {
    db: database.db,
    clock: systemClock,
    log,
    config,
    policy,
    bus,
    sagas,
    outbox,
    // These services use none.
    drivers: {} as Platform["drivers"],
    epoch: { number: 1, id: newUuid() },
  }
  stack.use(
    await sagas.work(
      platform,
      options.services.flatMap((s) => s.sagas),
    ),
  )
  for (const service of options.services) {
    await service.seed?.(platform)
    stack.use(await service.start?.(platform))
    stack.use(await service.work?.(platform))
  }
  const authenticate = options.authenticate ?? byWord
  const apis = apisOf(options.services, config)
  const server = createHttpServer({ platform, apis, authenticate, bodyLimitBytes: 1_048_576 })
  await server.listen({ host: "127.0.0.1", port: 0 })
  stack.defer(() => server.close())
  const baseUrl = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  const kept = stack.move()
  return {
    platform,
    database,
    sagas,
    baseUrl,
    ctx: (as) => makeCtx(platform, callerOf(as), newRequestId(), baseUrl),
    request: (method, path, how) => send(baseUrl, method, path, how),
    async [Symbol.asyncDispose]() {
      await kept.disposeAsync()
      assertNothingUndeclared()
    },
  }
}

function openBeside(connectionString: string): TestDatabase {
  const { db, pool } = openDatabase({ connectionString })
  return { db, pool, connectionString, [Symbol.asyncDispose]: () => db.destroy() }
}

const byWord: Authenticate = (headers) => {
  const word = headers["x-auth-token"]
  if (typeof word === "string" && word) return callerOf(word)
  throw new Fault("unauthenticated", "test.no_token", "The request you have made requires authentication.")
}

async function send(
  baseUrl: string,
  method: string,
  path: string,
  { as, body, headers }: RequestOptions = {},
): Promise<ServiceReply> {
  const isBytes = body instanceof Uint8Array
  const response = await fetch(`${baseUrl}${path}`, {
    method,
    redirect: "manual",
    headers: {
      accept: "application/json",
      ...(as ? { "x-auth-token": as } : {}),
      ...(body === undefined
        ? {}
        : { "content-type": isBytes ? "application/octet-stream" : "application/json" }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: isBytes ? Buffer.from(body) : JSON.stringify(body) }),
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  const isJson = response.headers.get("content-type")?.includes("json")
  return {
    status: response.status,
    headers: response.headers,
    bytes,
    body: isJson && bytes.length > 0 ? JSON.parse(bytes.toString()) : bytes.toString(),
  }
}
