// For tests: identity alone behind its own HTTP edge, on a database of its own.
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { FastifyInstance } from "fastify"
import { authenticatorFor, openIdentityRuntime } from "../src/identity/index.ts"
import { identityService } from "../src/identity/service.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { type Config, loadConfig } from "../src/platform/config/config.ts"
import type { Platform } from "../src/platform/context/context.ts"
import type { OutboxEvent } from "../src/platform/context/durable.ts"
import { createHttpServer } from "../src/platform/http/server.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { PolicyEngine } from "../src/platform/policy/policy.ts"
import { openTestDatabase, type TestDatabase } from "./database.ts"
import { assertNothingUndeclared } from "./notes.ts"

export const testPasswords = { admin: "admin-pw", demo: "demo-pw" }

export interface TestReply {
  status: number
  headers: Record<string, string | string[] | number | undefined>
  // biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
  body: any
}

export interface TestIdentity extends AsyncDisposable {
  readonly platform: Platform
  readonly server: FastifyInstance
  readonly database: TestDatabase
  /** What went to the outbox, whether it was committed or not. */
  readonly events: OutboxEvent[]
  /** A request below /v3, by the token when one is given. */
  send(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: object },
  ): Promise<TestReply>
  /** A token of a user of the default domain. */
  token(user: string, password: string, scope?: unknown): Promise<string>
  /** The administrator's, on its project. */
  adminToken(): Promise<string>
}

export interface TestIdentityOptions {
  overrides?: Record<string, unknown>
  /** What the catalog names. */
  publicUrl?: string
  /** Of another process of the same cloud. */
  sharing?: TestIdentity
  /** Does not listen to what other processes change. */
  isDeaf?: boolean
}

export async function startTestIdentity(options: TestIdentityOptions = {}): Promise<TestIdentity> {
  const database = options.sharing?.database ?? (await openTestDatabase())
  const dataDir =
    options.sharing?.platform.config.dataDir ?? (await mkdtemp(join(tmpdir(), "kumoi-identity-test-")))
  const config = loadConfig({
    env: {},
    // loadConfig fills in the sections.
    base: {
      dataDir,
      publicUrl: options.publicUrl ?? "http://127.0.0.1:5000",
      region: "RegionOne",
      host: "test",
    } as Config,
    // As cheap as scrypt gets: these tests are not about its cost.
    overrides: { "identity.passwordHashCost": 4, ...options.overrides },
  })
  const clock = systemClock
  const identity = await openIdentityRuntime({
    db: database.db,
    log: silentLogger,
    config,
    clock,
    connectionString: database.connectionString,
    seed: { passwords: testPasswords, catalog: testCatalog },
  })
  const events: OutboxEvent[] = []
  const policy = new PolicyEngine()
  policy.declare(identityService.policies)
  const platform: Platform = {
    db: database.db,
    clock,
    log: silentLogger,
    config,
    policy,
    bus: undefined as unknown as Platform["bus"], // identity alone sends no message
    sagas: undefined as unknown as Platform["sagas"], // and has no saga
    outbox: {
      append: async (_tx, event) => void events.push(event),
      appendMany: async (_tx, more) => void events.push(...more),
    },
    drivers: { identity } as Platform["drivers"],
    epoch: { number: 1, id: newUuid() },
  }
  await identityService.seed?.(platform)
  const listener = options.isDeaf ? undefined : await identityService.start?.(platform)
  if (listener) await eventually("the listener", () => identity.cache.isCoherent)
  const { apis } = identityService
  const server = createHttpServer({
    platform,
    apis,
    authenticate: authenticatorFor(platform),
    bodyLimitBytes: 114_688,
  })
  await server.ready()
  const send: TestIdentity["send"] = async (method, path, { token, body, headers } = {}) => {
    const response = await server.inject({
      method: method as "GET",
      url: path.startsWith("/") ? `/v3${path}` : path,
      headers: { ...(token ? { "x-auth-token": token } : {}), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    })
    const text = response.body
    return {
      status: response.statusCode,
      headers: response.headers,
      body: text.startsWith("{") ? JSON.parse(text) : text,
    }
  }
  const token: TestIdentity["token"] = async (user, password, scope) => {
    const reply = await send("POST", "/auth/tokens", { body: passwordLogin(user, password, scope) })
    if (reply.status !== 201) throw new Error(`no token for ${user}: ${JSON.stringify(reply.body)}`)
    return String(reply.headers["x-subject-token"])
  }
  return {
    platform,
    server,
    database,
    events,
    send,
    token,
    adminToken: () => token("admin", testPasswords.admin, defaultProject("admin")),
    async [Symbol.asyncDispose]() {
      await server.close()
      await listener?.[Symbol.asyncDispose]()
      if (options.sharing) return
      await database[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true })
      assertNothingUndeclared()
    },
  }
}

const testCatalog = [
  { type: "identity", name: "keystone", path: "/identity" },
  { type: "compute", name: "nova", path: "/compute/v2.1" },
  { type: "object-store", name: "swift", path: "/v1/AUTH_$(project_id)s" },
]

export function defaultProject(name: string): unknown {
  return { project: { name, domain: { id: "default" } } }
}

export function passwordLogin(user: string, password: string, scope?: unknown): object {
  return {
    auth: {
      identity: {
        methods: ["password"],
        password: { user: { name: user, domain: { id: "default" }, password } },
      },
      ...(scope === undefined ? {} : { scope }),
    },
  }
}
