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

export class HostsCloud implements AsyncDisposable {
  readonly cloud: TestCloud
  readonly scratch: string

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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cloud[Symbol.asyncDispose]()
    rmSync(this.scratch, { recursive: true, force: true })
  }
}
