// A test cloud with three further hosts: one that is lost, and two that servers may go to. And what all tests of
// evacuation ask.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { sql } from "kysely"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { noteHostLost, setHostDisabled } from "../src/compute/index.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Platform } from "../src/platform/context/context.ts"
import type { TestReply } from "./cloud.ts"
import { FarHost } from "./far-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"
import { SharedFiles } from "./shared-files.ts"

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
export type Body = any

export class EvacuateCloud implements AsyncDisposable {
  readonly c: ServerCloud
  readonly platform: Platform
  readonly lost: FarHost
  readonly near: FarHost
  readonly spare: FarHost
  readonly #scratch: string

  private constructor(c: ServerCloud, hosts: readonly FarHost[], scratch: string) {
    this.c = c
    this.platform = c.cloud.cloud.platform
    const [lost, near, spare] = hosts
    assert.ok(lost && near && spare)
    this.lost = lost
    this.near = near
    this.spare = spare
    this.#scratch = scratch
  }

  static async start(): Promise<EvacuateCloud> {
    const c = await startServerCloud({
      capacity: { vcpus: 64, ramMib: 16_384, diskGib: 1_000 },
      overrides: {
        "engine.sagaRetryFirstMs": 5,
        "engine.sagaRetryMostMs": 10,
        "engine.sagaWaitMostMs": 50,
        "blockStorage.quota.volumes": -1,
      },
    })
    const { platform } = c.cloud.cloud
    // No server comes to the cloud's own host.
    await setHostDisabled(platform, "host1", "for others")
    const scratch = mkdtempSync(join(tmpdir(), "kumoi-evacuate-"))
    const hosts: FarHost[] = []
    for (const name of ["lost", "near", "spare"]) {
      const shared = { name: "nas", host: name, share: "nfs:one", roomGib: 100 }
      const volumes = [
        new SharedFiles(join(scratch, "nas"), shared),
        new FileVolumeDriver(join(scratch, name), { name: "own" }),
      ]
      hosts.push(await FarHost.start(platform, { name, volumes }))
    }
    const made = new EvacuateCloud(c, hosts, scratch)
    for (const backend of ["nas", "own"]) {
      const spec = { name: backend, extra_specs: { volume_backend_name: backend } }
      await made.ok("POST", "/volume/v3/types", { volume_type: spec })
    }
    const many = { name: "many", extra_specs: { volume_backend_name: "nas", multiattach: "<is> True" } }
    await made.ok("POST", "/volume/v3/types", { volume_type: many })
    return made
  }

  /** Before each test: all hosts are up. */
  async restore(): Promise<void> {
    for (const host of [this.lost, this.near, this.spare]) {
      await host.restore()
      await eventually(`${host.name} to be up`, async () => (await this.stateOf(host)) === "up")
    }
  }

  /** After each test: no server is left. */
  async empty(): Promise<void> {
    await this.restore()
    for (const host of [this.near, this.spare]) {
      await setHostDisabled(this.platform, host.name, null)
      host.hypervisor.setControl({ fail: null, delayMs: 0 })
    }
    const { servers } = await this.ok("GET", "/compute/v2.1/servers?all_tenants=1")
    for (const { id } of servers) await this.remove(id)
  }

  async ok(method: string, path: string, body?: Body): Promise<Body> {
    const version = path.startsWith("/volume") ? "volume 3.70" : "compute 2.96"
    const reply = await this.c.cloud.request(method, path, {
      ...{ token: this.c.admin, headers: { "openstack-api-version": version } },
      ...(body === undefined ? {} : { body }),
    })
    assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
    return reply.body
  }

  asAdmin(version = "2.94") {
    return { token: this.c.admin, version }
  }

  async serverOn({ name: host }: FarHost, more: object = {}): Promise<string> {
    const { imageId, flavorId } = this.c
    const where = { availability_zone: `nova:${host}`, networks: "auto" }
    const server = { name: "vm", imageRef: imageId, flavorRef: flavorId, ...where, ...more }
    const made = await this.ok("POST", "/compute/v2.1/servers", { server })
    await this.c.reaches(made.server.id, "ACTIVE")
    return made.server.id
  }

  evacuate(id: string, asked: object = {}, version?: string): Promise<TestReply> {
    return this.c.act(id, { evacuate: asked }, this.asAdmin(version))
  }

  show(id: string): Promise<Body> {
    return this.c.show(id, this.asAdmin())
  }

  act(id: string, action: object): Promise<TestReply> {
    return this.c.act(id, action, this.asAdmin())
  }

  async remove(id: string): Promise<void> {
    await this.ok("DELETE", `/compute/v2.1/servers/${id}`)
    await this.isGone(id)
  }

  async isGone(id: string): Promise<void> {
    await eventually(`${id} to be gone`, async () => {
      return (await this.c.call("GET", `/servers/${id}`, undefined, this.asAdmin())).status === 404
    })
  }

  async hostOf(id: string): Promise<string> {
    return (await this.show(id))["OS-EXT-SRV-ATTR:host"]
  }

  async newestMigration(id: string): Promise<Body> {
    const path = `/os-migrations?instance_uuid=${id}`
    return (await this.c.call("GET", path, undefined, this.asAdmin())).body.migrations[0]
  }

  async migrationIs(id: string, status: string): Promise<void> {
    const now = async () => (await this.newestMigration(id))?.status
    await eventually(`its migration to be ${status}`, async () => (await now()) === status)
  }

  /** Memory that is held for the server and its moves, by host. */
  async roomOf(id: string): Promise<Record<string, number>> {
    const { rows } = await sql<{ host: string; used: number }>`
      select h.name as host, sum(a.used)::int as used from placement.allocation a
        join compute.host h on h.id = a.provider_id
      where a.resource_class = 'MEMORY_MB' and overlay(a.consumer_id::text placing '0' from 15 for 1)
        = overlay(${id} placing '0' from 15 for 1)
      group by h.name`.execute(this.platform.db)
    return Object.fromEntries(rows.map(({ host, used }) => [host, used]))
  }

  async sagasAreOver(id: string): Promise<void> {
    await eventually(`the sagas of ${id} to be over`, async () => {
      const { rows } = await sql`select from engine.saga
        where resource_id = ${id} and state in ('running', 'unwinding')`.execute(this.platform.db)
      return rows.length === 0
    })
  }

  /** With a report of the host that is back: the next one would come in some seconds. */
  async isLeft(id: string): Promise<void> {
    await eventually(`nothing of ${id} to be left`, async () => {
      this.lost.agent.sayAlive()
      return (await this.newestMigration(id))?.status === "completed"
    })
  }

  async stateOf({ name }: FarHost): Promise<string> {
    const path = `/os-services?binary=nova-compute&host=${name}`
    return (await this.c.call("GET", path, undefined, this.asAdmin())).body.services[0]?.state
  }

  /** What it had said before may come after that it was lost. */
  async isDown(host: FarHost): Promise<void> {
    await eventually(`${host.name} to be down`, async () => {
      await noteHostLost(this.platform, host.name)
      return (await this.stateOf(host)) === "down"
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of [this.lost, this.near, this.spare]) await host[Symbol.asyncDispose]()
    await this.c[Symbol.asyncDispose]()
    rmSync(this.#scratch, { recursive: true })
  }
}
