// A whole control plane in this process, with fake drivers, over HTTP, on a database of its own.
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import type { MetadataServer } from "../src/agent/metadata/metadata-keeper.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { FakeVolumeDriver } from "../src/agent/volumes/fake-driver.ts"
import type { HostsNetwork } from "../src/hosts.ts"
import { type Cloud, startCloud } from "../src/main.ts"
import { FakeNetworkDriver } from "../src/network/driver/fake/fake-driver.ts"
import { syncOf } from "../src/network/sync/sync.ts"
import type { Bus } from "../src/platform/bus/bus.ts"
import { systemClock } from "../src/platform/clock/clock.ts"
import { createLogger, silentLogger } from "../src/platform/log/log.ts"
import { openTestDatabase, type TestDatabase } from "./database.ts"
import { assertNothingUndeclared } from "./notes.ts"
import { sharedVolumes, stopOtherHost } from "./other-host.ts"

export const passwords = { admin: "admin-password", demo: "demo-password" }

export interface TestCloudOptions {
  /** Dotted configuration keys. */
  overrides?: Record<string, unknown>
  capacity?: { vcpus?: number; ramMib?: number; diskGib?: number; dedicatedCpus?: number }
  /** The host has `fake2` as well: smaller, so nothing gets there by itself. */
  hasOtherBackend?: boolean
  /** A back end `shared`, which the other host of `other-host.ts` has as well. */
  sharesVolumes?: boolean
  /** The host says that its interfaces are devices, so that servers wait until the network's engine has them up. */
  plugsDevices?: boolean
  /** What answers guests of this host for their metadata; default: nothing. */
  metadata?: MetadataServer
  /** What the network's engine says of hosts; default: the network is simulated. */
  hostsNetwork?: HostsNetwork
  /** Default: one within this process. It ends with the cloud. */
  bus?: Bus
  /** Continue on this one's database and data directory, as after a restart. */
  continueFrom?: TestCloud
}

export interface TestReply {
  status: number
  headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
  body: any
}

export interface TestCloud extends AsyncDisposable {
  readonly cloud: Cloud
  readonly baseUrl: string
  readonly dataDir: string
  readonly database: TestDatabase
  readonly hypervisor: FakeHypervisor
  readonly volumes: FakeVolumeDriver
  /** `fake2` */
  readonly others: FakeVolumeDriver
  readonly network: FakeNetworkDriver
  /** A project-scoped token; default: admin on project admin. */
  token(who?: { user?: string; password?: string; project?: string }): Promise<string>
  request(
    method: string,
    path: string,
    options?: { token?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<TestReply>
  /** Stops the control plane and keeps the database and the data directory, for `continueFrom`. */
  stop(): Promise<void>
}

/** Every change was told to the network's engine by itself: telling it everything finds nothing. */
export async function assertEngineHasAll({ cloud: { platform } }: TestCloud): Promise<void> {
  const sync = syncOf(platform)
  await sync.settle()
  assert.deepEqual(await sync.compare(), { created: 0, updated: 0, removed: 0 })
}

const otherBytes = 64 * 1024 ** 3

export async function startTestCloud(options: TestCloudOptions = {}): Promise<TestCloud> {
  const prior = options.continueFrom
  const database = prior?.database ?? (await openTestDatabase())
  const dataDir = prior?.dataDir ?? (await mkdtemp(join(tmpdir(), "kumoi-cloud-")))
  const hypervisor = new FakeHypervisor({
    host: "host1",
    hostIp: "127.0.0.1",
    dir: join(dataDir, "agent/fake"),
    clock: systemClock,
    capacity: { vcpus: 64, ramMib: 262_144, diskGib: 10_000, ...options.capacity },
  })
  const volumes = new FakeVolumeDriver({
    file: join(dataDir, "agent/volumes/fake/volumes.json"),
    clock: systemClock,
  })
  const others = new FakeVolumeDriver({
    name: "fake2",
    file: join(dataDir, "agent/volumes/fake2/volumes.json"),
    clock: systemClock,
    totalBytes: otherBytes,
  })
  const network = new FakeNetworkDriver()
  const cloud = await startCloud({
    base: { dataDir, publicUrl: "http://127.0.0.1", region: "RegionOne", host: "host1" },
    // As cheap as scrypt gets: these tests are not about its cost.
    overrides: { "identity.passwordHashCost": 4, ...options.overrides },
    databaseUrl: database.connectionString,
    log: process.env.KUMOI_TEST_LOG ? createLogger({ level: "debug" }) : silentLogger,
    passwords,
    network,
    metadata: null,
    agent: {
      hypervisor,
      ports: new FakePlugger({ hasDevices: options.plugsDevices ?? false }),
      metadata: options.metadata ?? null,
      imageCacheBytes: null,
      volumes: [
        volumes,
        ...(options.hasOtherBackend ? [others] : []),
        ...(options.sharesVolumes ? [sharedVolumes(dataDir)] : []),
      ],
    },
    ...(options.bus && { bus: options.bus }),
    guestImage: null,
    listen: { host: "127.0.0.1", port: 0 },
    hosts: {
      listen: "127.0.0.1",
      address: "127.0.0.1",
      settings: { region: "RegionOne", network: null, hypervisor: "fake" },
      network: options.hostsNetwork ?? null,
    },
  })
  const request: TestCloud["request"] = async (method, path, { token, body, headers } = {}) => {
    const response = await fetch(`${cloud.url}${path}`, {
      method,
      headers: {
        ...(token ? { "x-auth-token": token } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = response.headers.get("content-type")?.includes("json")
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && text ? JSON.parse(text) : text,
    }
  }
  let isStopped = false
  const stop = async () => {
    if (isStopped) return
    isStopped = true
    await stopOtherHost(cloud.platform)
    await cloud.stop({ guests: "leave", graceMs: 0 })
  }
  return {
    cloud,
    baseUrl: cloud.url,
    dataDir,
    database,
    hypervisor,
    volumes,
    others,
    network,
    request,
    stop,
    token: async ({ user = "admin", password, project = user } = {}) => {
      const domain = { id: "default" }
      const secret = password ?? passwords[user === "demo" ? "demo" : "admin"]
      const reply = await request("POST", "/identity/v3/auth/tokens", {
        body: {
          auth: {
            identity: { methods: ["password"], password: { user: { name: user, domain, password: secret } } },
            scope: { project: { name: project, domain } },
          },
        },
      })
      if (reply.status !== 201) throw new Error(`no token: ${reply.status} ${JSON.stringify(reply.body)}`)
      return reply.headers.get("x-subject-token") ?? ""
    },
    async [Symbol.asyncDispose]() {
      await stop()
      await database[Symbol.asyncDispose]()
      await rm(dataDir, { recursive: true, force: true })
      assertNothingUndeclared()
    },
  }
}
