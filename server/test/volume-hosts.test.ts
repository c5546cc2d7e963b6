// Volumes that go from one host to another, through the door: real files, real TLS, and whatever breaks on the way.
import assert from "node:assert/strict"
import { randomFillSync } from "node:crypto"
import { closeSync, existsSync, openSync, readdirSync, readSync, statSync, writeSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { agentDirectories } from "../src/agent/machine-store.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { FileVolumeDriver } from "../src/agent/volumes/file-driver.ts"
import { removeLeftovers } from "../src/block-storage/leftover/leftovers.reconciler.ts"
import { type MemberAgent, startMemberAgent } from "../src/launch/joined/member-agent.ts"
import type { Membership } from "../src/launch/joined/membership.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { HostsCloud } from "./hosts-cloud.ts"

let at: HostsCloud
let token: string
const members = new Map<string, { membership: Membership; agent: MemberAgent | null }>()
const mib = 1024 ** 2

before(async () => {
  at = await HostsCloud.start({
    ...{ "blockStorage.agentCallTimeoutMs": 2_000, "blockStorage.poolDownAfterMs": 25_000 },
  })
  token = await at.cloud.token()
  for (const name of ["host2", "host3"]) {
    members.set(name, { membership: await at.joinAs(name), agent: null })
    await start(name)
  }
  const spec = { volume_type: { name: "files", extra_specs: { volume_backend_name: "file" } } }
  await ok("POST", "/types", spec)
  await eventually("the back ends", async () => {
    const { pools } = await ok("GET", "/scheduler-stats/get_pools")
    const names = pools.map((pool: Body) => pool.name)
    return ["host2@file", "host3@file"].every((name) => names.some((each: string) => each.startsWith(name)))
  })
})
after(async () => {
  for (const { agent } of members.values()) await agent?.stop({ guests: "leave", graceMs: 0 })
  await at?.[Symbol.asyncDispose]()
})

const dataDirOf = (name: string) => join(at.scratch, name)

async function start(name: string): Promise<void> {
  const member = members.get(name)
  assert.ok(member)
  const { membership } = member
  const dataDir = dataDirOf(name)
  const hypervisor = new FakeHypervisor({
    ...{ host: name, hostIp: membership.address, dir: join(dataDir, "agent/fake"), clock: systemClock },
    capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
  })
  const volumes = [new FileVolumeDriver(join(agentDirectories(dataDir).volumes, "file"))]
  member.agent = await startMemberAgent({
    ...{ membership, dataDir, client: at.clientOf(membership), log: silentLogger, clock: systemClock },
    parts: { hypervisor, ports: new FakePlugger(), metadata: null, imageCacheBytes: null, volumes },
  })
}

async function stop(name: string): Promise<void> {
  const member = members.get(name)
  await member?.agent?.stop({ guests: "leave", graceMs: 0 })
  if (member) member.agent = null
}

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Body = any

async function call(method: string, path: string, body?: Body) {
  const headers = { "openstack-api-version": "volume 3.70" }
  return await at.cloud.request(method, `/volume/v3${path}`, {
    ...{ token, headers },
    ...(body === undefined ? {} : { body }),
  })
}

async function ok(method: string, path: string, body?: Body): Promise<Body> {
  const reply = await call(method, path, body)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

async function isNow(id: string, wanted: Record<string, unknown>): Promise<Body> {
  return await eventually(`volume ${id} to be ${JSON.stringify(wanted)}`, async () => {
    const { volume } = await ok("GET", `/volumes/${id}`)
    return Object.entries(wanted).every(([key, value]) => volume[key] === value) && volume
  })
}

const migrate = (id: string, host: string) =>
  call("POST", `/volumes/${id}/action`, { "os-migrate_volume": { host, lock_volume: true } })

const fileOf = (host: string, id: string) =>
  join(agentDirectories(dataDirOf(host)).volumes, "file", id, "volume.raw")

/** With random data in its middle; says them and where it lies. */
async function makeVolume(): Promise<{ id: string; host: string; other: string; data: Buffer }> {
  const { volume } = await ok("POST", "/volumes", { volume: { size: 1, volume_type: "files" } })
  const made = await isNow(volume.id, { status: "available" })
  const host = String(made["os-vol-host-attr:host"]).replace(/@.*/, "")
  const data = randomFillSync(Buffer.alloc(24 * mib))
  const file = openSync(fileOf(host, volume.id), "r+")
  writeSync(file, data, 0, data.length, 300 * mib)
  closeSync(file)
  return { id: volume.id, host, other: host === "host2" ? "host3" : "host2", data }
}

/** The data where they were, nothing else, and no room taken for it. */
function mustHold(host: string, id: string, data: Buffer): void {
  const { size, blocks } = statSync(fileOf(host, id))
  assert.equal(size, 1024 ** 3)
  assert.ok(blocks * 512 < data.length + mib, `${blocks * 512} bytes for ${data.length}`)
  const found = Buffer.alloc(data.length)
  const file = openSync(fileOf(host, id), "r")
  readSync(file, found, 0, data.length, 300 * mib)
  closeSync(file)
  assert.ok(found.equals(data))
}

async function promised(): Promise<Record<string, number>> {
  const pools = await at.cloud.database.db
    .selectFrom("block_storage.pool")
    .select(["host", "promised_bytes"])
    .execute()
  return Object.fromEntries(pools.map((pool) => [pool.host, Number(pool.promised_bytes) / 1024 ** 3]))
}

const leftovers = () => at.cloud.database.db.selectFrom("block_storage.leftover").selectAll().execute()
const { signal } = new AbortController()
const cleanUp = () => removeLeftovers(at.cloud.cloud.platform, signal)

async function remove(id: string): Promise<void> {
  await ok("DELETE", `/volumes/${id}`)
  await eventually("the volume to be gone", async () => (await call("GET", `/volumes/${id}`)).status === 404)
  await cleanUp()
}

test("a volume at rest goes to another host and back, with all that it holds, and leaves nothing", async () => {
  const { id, host, other, data } = await makeVolume()
  assert.equal((await migrate(id, `${other}@file`)).status, 202)
  const moved = await isNow(id, { migration_status: "success", status: "available" })
  assert.equal(moved["os-vol-host-attr:host"], `${other}@file#file`)
  mustHold(other, id, data)
  assert.deepEqual([(await promised())[host], (await promised())[other]], [0, 1])
  // Until the old data are gone it does not come back.
  if ((await leftovers()).length > 0) {
    const soon = await migrate(id, `${host}@file`)
    assert.ok(soon.status === 202 || /old data are still being removed/.test(soon.body.badRequest.message))
    if (soon.status === 202) assert.fail("it went back to where its old data lie")
  }
  await cleanUp()
  assert.deepEqual([await leftovers(), existsSync(fileOf(host, id))], [[], false])
  assert.equal((await migrate(id, `${host}@file`)).status, 202)
  await eventually("it to be back", async () => {
    const { volume } = await ok("GET", `/volumes/${id}`)
    return volume.migration_status === "success" && volume["os-vol-host-attr:host"] === `${host}@file#file`
  })
  mustHold(host, id, data)
  await remove(id)
  for (const each of ["host2", "host3"]) {
    const travels = agentDirectories(dataDirOf(each)).volumeTravels
    assert.deepEqual(existsSync(travels) ? readdirSync(travels) : [], [], "what it travelled in is gone")
    assert.equal(existsSync(fileOf(each, id)), false)
  }
})

test("a host is lost while a volume comes to it: the volume stays where it was, and the rest is removed", async () => {
  const { id, host, other, data } = await makeVolume()
  await stop(other)
  assert.equal((await migrate(id, `${other}@file`)).status, 202)
  const failed = await isNow(id, { migration_status: "error" })
  assert.deepEqual([failed.status, failed["os-vol-host-attr:host"]], ["available", `${host}@file#file`])
  mustHold(host, id, data)
  assert.deepEqual([(await promised())[host], (await promised())[other]], [1, 0])
  await start(other)
  await eventually("what was left to be removed", async () => {
    await cleanUp()
    return (await leftovers()).length === 0
  })
  assert.equal(existsSync(fileOf(other, id)), false)
  // Until it has told of its back end it has none.
  await eventually("the move to begin", async () => (await migrate(id, `${other}@file`)).status === 202)
  await isNow(id, { migration_status: "success" })
  mustHold(other, id, data)
  await remove(id)
})
