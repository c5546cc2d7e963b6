// A cloud in this process that hosts join at its door, each with a directory of its own.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import type { CloudHosts } from "../src/hosts.ts"
import { DoorClient } from "../src/launch/joined/door-client.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import { type MemberAgent, startMemberAgent } from "../src/launch/joined/member-agent.ts"
import type { Membership } from "../src/launch/joined/membership.ts"
import type { Bus } from "../src/platform/bus/bus.ts"
import { type Clock, systemClock } from "../src/platform/clock/clock.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"
import { freePort } from "./free-port.ts"

export const anyHost = { hostName: null, address: null, lastsMs: 3_600_000 }

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any
export type Asked = [method: string, path: string, body?: Body]

export interface StartedHost {
  membership: Membership
  agent: MemberAgent
  hypervisor: FakeHypervisor
}

export class HostsCloud implements AsyncDisposable {
  readonly cloud: TestCloud
  readonly scratch: string
  /** Of hosts that it has started, and nobody has stopped. */
  readonly #agents = new Set<MemberAgent>()
  #token: string | undefined
  #image: string | undefined

  private constructor(cloud: TestCloud, scratch: string) {
    this.cloud = cloud
    this.scratch = scratch
  }

  static async start(overrides: Record<string, unknown> = {}, bus?: Bus): Promise<HostsCloud> {
    const scratch = mkdtempSync(join(tmpdir(), "kumoi-hosts-"))
    const all = { "hosts.port": await freePort(), ...overrides }
    return new HostsCloud(await startTestCloud({ overrides: all, ...(bus && { bus }) }), scratch)
  }

  get hosts(): CloudHosts {
    const found = this.cloud.cloud.hosts
    assert.ok(found)
    return found
  }

  async joinAs(name: string, token?: { url: string; token: string }): Promise<Membership> {
    const line = token ?? (await this.hosts.token(anyHost))
    return await joinCloud({ dataDir: join(this.scratch, name), ...line, name, address: null })
  }

  clientOf({ door, name }: Membership): DoorClient {
    return new DoorClient({ door, dataDir: join(this.scratch, name) })
  }

  /** It joins, and its agent runs simulated machines. */
  async startHost(name: string, clock: Clock = systemClock): Promise<StartedHost> {
    const membership = await this.joinAs(name)
    const dataDir = join(this.scratch, name)
    const hypervisor = new FakeHypervisor({
      host: name,
      hostIp: membership.address,
      dir: join(dataDir, "agent/fake"),
      clock,
      capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
    })
    const started = await startMemberAgent({
      membership,
      dataDir,
      client: this.clientOf(membership),
      parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes: [] },
      log: silentLogger,
      clock,
    })
    const agent: MemberAgent = {
      ...started,
      stop: (how) => {
        this.#agents.delete(agent)
        return started.stop(how)
      },
    }
    this.#agents.add(agent)
    return { membership, agent, hypervisor }
  }

  async serviceOf(name: string): Promise<{ state: string; updated_at: string } | undefined> {
    return (await this.ok("GET", `/compute/v2.1/os-services?host=${name}`)).services[0]
  }

  /** Answers its id; it is not made yet. */
  async createServerOn(host: string): Promise<string> {
    this.#image ??= await this.#makeImage()
    const wish = { name: "far", flavorRef: "1", imageRef: this.#image, networks: "none", host }
    return (await this.ok("POST", "/compute/v2.1/servers", { server: wish })).server.id
  }

  async #makeImage(): Promise<string> {
    const wish = { name: "small", disk_format: "raw", container_format: "bare" }
    const { id } = await this.ok("POST", "/image/v2/images", wish)
    const token = await this.cloud.token()
    await this.cloud.request("PUT", `/image/v2/images/${id}/file`, {
      token,
      headers: { "content-type": "application/octet-stream" },
      body: "x".repeat(1024),
    })
    return id
  }

  /** As the administrator, in versions that know all of servers and volumes. */
  async call(...[method, path, body]: Asked): Promise<{ status: number; body: Body }> {
    this.#token ??= await this.cloud.token()
    const version = path.startsWith("/volume") ? "volume 3.70" : "compute 2.96"
    return await this.cloud.request(method, path, {
      ...{ token: this.#token, headers: { "openstack-api-version": version } },
      ...(body === undefined ? {} : { body }),
    })
  }

  /** The body of an answer that must not be a refusal. */
  async ok(...request: Asked): Promise<Body> {
    const [method, path] = request
    const reply = await this.call(...request)
    assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
    return reply.body
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Of a test that has failed: it would keep the process for ever.
    for (const agent of this.#agents) await agent.letGo()
    await this.cloud[Symbol.asyncDispose]()
    rmSync(this.scratch, { recursive: true, force: true })
  }
}
