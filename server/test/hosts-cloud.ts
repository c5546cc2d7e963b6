// A cloud in this process that hosts join at its door, each with a directory of its own.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { CloudHosts } from "../src/hosts.ts"
import { DoorClient } from "../src/launch/joined/door-client.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import type { Membership } from "../src/launch/joined/membership.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"
import { freePort } from "./free-port.ts"

export const anyHost = { hostName: null, address: null, lastsMs: 3_600_000 }

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any
export type Asked = [method: string, path: string, body?: Body]

export class HostsCloud implements AsyncDisposable {
  readonly cloud: TestCloud
  readonly scratch: string
  #token: string | undefined

  private constructor(cloud: TestCloud, scratch: string) {
    this.cloud = cloud
    this.scratch = scratch
  }

  static async start(overrides: Record<string, unknown> = {}): Promise<HostsCloud> {
    const scratch = mkdtempSync(join(tmpdir(), "kumoi-hosts-"))
    const all = { "hosts.port": await freePort(), ...overrides }
    return new HostsCloud(await startTestCloud({ overrides: all }), scratch)
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
    await this.cloud[Symbol.asyncDispose]()
    rmSync(this.scratch, { recursive: true, force: true })
  }
}
