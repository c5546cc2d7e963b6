// Flavors that ask for more than sizes: refused when nothing can give it, left without a host when no host has it.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { closeOtherHost, openOtherHost, otherHost } from "./other-host.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

let c: ServerCloud
before(async () => {
  c = await startServerCloud({ capacity: { vcpus: 8, ramMib: 16_384, diskGib: 1_000, dedicatedCpus: 4 } })
})
after(async () => await c[Symbol.asyncDispose]())

const asAdmin = () => ({ token: c.admin })

async function makeFlavor(
  specs: Record<string, string>,
  sizes: Record<string, unknown> = {},
): Promise<string> {
  const size = { name: newUuid(), ram: 512, vcpus: 2, disk: 1, ...sizes }
  const { body, status } = await c.call("POST", "/flavors", { flavor: size }, asAdmin())
  assert.equal(status, 200, JSON.stringify(body))
  const set = await c.call(
    "POST",
    `/flavors/${body.flavor.id}/os-extra_specs`,
    { extra_specs: specs },
    asAdmin(),
  )
  assert.equal(set.status, 200, JSON.stringify(set.body))
  return body.flavor.id
}

async function refusal(specs: Record<string, string>): Promise<string> {
  const server = { name: "vm", imageRef: c.imageId, flavorRef: await makeFlavor(specs), networks: "none" }
  const { status, body } = await c.call("POST", "/servers", { server })
  assert.equal(status, 400, JSON.stringify(body))
  return body.badRequest.message
}

const made = async (specs: Record<string, string>) =>
  await c.create({ networks: "none", flavorRef: await makeFlavor(specs) })
const topology = async (id: string, how = {}) =>
  (await c.call("GET", `/servers/${id}/topology`, undefined, how)).body
const remove = async (id: string) => {
  await c.call("DELETE", `/servers/${id}`)
  await c.isGone(id)
}
const whyNot = async (id: string) => (await c.reaches(id, "ERROR")).fault.message as string

test("what cannot be is refused when the server is to be made", async () => {
  assert.match(await refusal({ "hw:numa_nodes": "3" }), /^Instance CPUs and\/or memory cannot be evenly/)
  assert.match(
    await refusal({ "quota:vif_inbound_average": "100" }),
    /limited by the QoS policies of their ports/,
  )
  assert.equal(await refusal({ "pci_passthrough:alias": "gpu:1" }), "PCI alias gpu is not defined")
  assert.match(await refusal({ "accel:device_profile": "p" }), /no accelerator service/)
  assert.match(
    await refusal({ "quota:cpu_period": "5", "quota:cpu_quota": "1000" }),
    /between 1000 and 1000000/,
  )
})

test("nor can a server be resized to it, or rebuilt with an image that asks for it", async () => {
  const id = await c.create({ networks: "none" })
  await c.reaches(id, "ACTIVE")
  const flavorRef = await makeFlavor({ "hw:cpu_thread_policy": "require" })
  const resized = await c.act(id, { resize: { flavorRef } })
  assert.deepEqual(
    [resized.status, resized.body.badRequest?.message],
    [400, "Cannot set cpu thread pinning policy in a non dedicated cpu pinning policy"],
  )
  const rebuilt = await rebuiltWith(id, "hw_numa_nodes", "1")
  assert.deepEqual(
    [rebuilt.status, /^An instance's NUMA topology cannot be changed/.test(rebuilt.body.badRequest?.message)],
    [400, true],
  )
  await remove(id)
})

/** With its image, which says so for the time being. */
async function rebuiltWith(id: string, property: string, value: string) {
  const patch = (change: object) =>
    c.cloud.request("PATCH", `/image/v2/images/${c.imageId}`, {
      token: c.admin,
      headers: { "content-type": "application/openstack-images-v2.1-json-patch" },
      body: [{ path: `/${property}`, ...change }],
    })
  assert.equal((await patch({ op: "add", value })).status, 200)
  const answer = await c.act(id, { rebuild: { imageRef: c.imageId } })
  assert.equal((await patch({ op: "remove" })).status, 200)
  return answer
}

test("nor rebuilt to what was not claimed for it, or to what its host has not", async () => {
  const id = await made({ "hw:numa_nodes": "1" })
  await c.reaches(id, "ACTIVE")
  const pinned = await rebuiltWith(id, "hw_cpu_policy", "dedicated")
  assert.deepEqual(
    [pinned.status, /^An instance's NUMA topology cannot be changed/.test(pinned.body.badRequest?.message)],
    [400, true],
  )
  const golden = await rebuiltWith(id, "trait:HW_CPU_X86_SGX", "required")
  assert.deepEqual(
    [golden.status, /^Image traits cannot be satisfied by the current/.test(golden.body.badRequest?.message)],
    [400, true],
  )
  await remove(id)
})

test("the topology says which cells a guest has, and administrators also what they are pinned to", async () => {
  const plain = await made({ "hw:numa_nodes": "2", "hw:mem_page_size": "small" })
  await c.reaches(plain, "ACTIVE")
  const nodes = [0, 1].map((cpu) => ({ memory_mb: 256, vcpu_set: [cpu], siblings: [] }))
  assert.deepEqual(await topology(plain), { nodes, pagesize_kb: 4 })
  assert.deepEqual((await topology(plain, asAdmin())).nodes[0], { ...nodes[0], cpu_pinning: {} })
  await remove(plain)
  const pinned = await made({ "hw:cpu_policy": "dedicated", "hw:cpu_sockets": "1", "hw:cpu_threads": "2" })
  await c.reaches(pinned, "ACTIVE")
  const own = { memory_mb: 512, vcpu_set: [0, 1], siblings: [[0, 1]] }
  assert.deepEqual((await topology(pinned)).nodes, [own])
  assert.deepEqual((await topology(pinned, asAdmin())).nodes, [{ ...own, cpu_pinning: { 0: 0, 1: 1 } }])
  await remove(pinned)
})

test("processors of its own are counted out: who finds none is told", async () => {
  const specs = { "hw:cpu_policy": "dedicated", "hw:emulator_threads_policy": "isolate" }
  const first = await made(specs)
  await c.reaches(first, "ACTIVE")
  const { body } = await c.cloud.request("GET", `/placement/allocations/${first}`, {
    token: c.admin,
    headers: { "openstack-api-version": "placement 1.36" },
  })
  const [held] = Object.values(body.allocations as Record<string, { resources: object }>)
  assert.deepEqual(held?.resources, { PCPU: 3, MEMORY_MB: 512, DISK_GB: 1 })
  const second = await made(specs)
  assert.match(await whyNot(second), /it has not 3 PCPU free/)
  await remove(first)
  const third = await made(specs)
  await c.reaches(third, "ACTIVE")
  await Promise.all([remove(second), remove(third)])
})

test("pages that no host has, and traits and resources: the reason is told, and what an operator gives is found", async () => {
  const paged = await made({ "hw:mem_page_size": "2MB" })
  assert.match(await whyNot(paged), /it has no pages of 2048 KiB/)
  const encrypted = await made({ "hw:mem_encryption": "true" })
  assert.match(await whyNot(encrypted), /MEM_ENCRYPTION_CONTEXT|HW_CPU_X86_AMD_SEV/)
  const specs = { "trait:CUSTOM_GOLD": "required", "resources:CUSTOM_FPGA": "1" }
  const wanting = await made(specs)
  assert.match(await whyNot(wanting), /CUSTOM_FPGA|CUSTOM_GOLD/)
  const placement = (method: string, path: string, body?: unknown) =>
    c.cloud.request(method, `/placement${path}`, {
      token: c.admin,
      headers: { "openstack-api-version": "placement 1.36" },
      ...(body === undefined ? {} : { body }),
    })
  const [host] = (await placement("GET", "/resource_providers")).body.resource_providers
  await placement("PUT", "/traits/CUSTOM_GOLD")
  await placement("PUT", "/resource_classes/CUSTOM_FPGA")
  const changed = await eventually("the provider to take both", async () => {
    const { body: now } = await placement("GET", `/resource_providers/${host.uuid}/traits`)
    const traits = await placement("PUT", `/resource_providers/${host.uuid}/traits`, {
      resource_provider_generation: now.resource_provider_generation,
      traits: [...now.traits, "CUSTOM_GOLD"],
    })
    const added = await placement("POST", `/resource_providers/${host.uuid}/inventories`, {
      resource_class: "CUSTOM_FPGA",
      total: 1,
    })
    return traits.status === 200 && added
  })
  assert.equal(changed.status, 201, JSON.stringify(changed.body))
  const got = await made(specs)
  await c.reaches(got, "ACTIVE")
  const none = await made(specs)
  assert.match(await whyNot(none), /it has not 1 CUSTOM_FPGA free/)
  const unwanted = await made({ "trait:CUSTOM_GOLD": "forbidden" })
  assert.match(await whyNot(unwanted), /it has CUSTOM_GOLD/)
  await Promise.all([paged, encrypted, wanting, got, none, unwanted].map(remove))
})

test("a server stays as it is when no host has what its new flavor asks for, its own host neither", async () => {
  const id = await c.create({ networks: "none" })
  await c.reaches(id, "ACTIVE")
  const flavorRef = await makeFlavor({ "trait:CUSTOM_SILVER": "required" })
  const { status } = await c.act(id, { resize: { flavorRef } })
  assert.equal(status, 202)
  const { flavor } = await c.reaches(id, "ACTIVE")
  assert.notDeepEqual(flavor.extra_specs, { "trait:CUSTOM_SILVER": "required" })
  const actions = (await c.call("GET", `/servers/${id}/os-instance-actions`)).body.instanceActions
  assert.match(JSON.stringify(actions[0]), /resize/)
  await remove(id)
})

test("a guest with cells, processors of its own and bounds of their time moves while it is off", async () => {
  const id = await made({ "hw:numa_nodes": "2", "hw:cpu_policy": "dedicated", "quota:cpu_shares": "512" })
  await c.reaches(id, "ACTIVE")
  const flavorRef = await makeFlavor({ "hw:numa_nodes": "2", "quota:cpu_quota": "20000" }, { ram: 1024 })
  await c.act(id, { resize: { flavorRef } })
  await c.reaches(id, "VERIFY_RESIZE")
  assert.equal((await topology(id)).nodes[1].memory_mb, 512)
  await c.act(id, { confirmResize: null })
  await c.reaches(id, "ACTIVE")
  await remove(id)
})

test("while it runs it goes to a host that gives the same, and to no other", async () => {
  const { platform } = c.cloud.cloud
  const movable = await made({ "hw:numa_nodes": "2", "quota:cpu_shares": "512" })
  const pinned = await made({ "hw:cpu_policy": "dedicated" })
  for (const id of [movable, pinned]) await c.reaches(id, "ACTIVE")
  const { hypervisor } = await openOtherHost(platform)
  try {
    const move = { "os-migrateLive": { host: null, block_migration: "auto" } }
    const hostOf = async (id: string) => (await c.show(id, asAdmin()))["OS-EXT-SRV-ATTR:host"]
    assert.equal((await c.act(movable, move, asAdmin())).status, 202)
    await eventually("the server to be there", async () => (await hostOf(movable)) === otherHost)
    await c.reaches(movable, "ACTIVE")
    const { cpus } = await hypervisor.diagnostics({ serverId: movable, driver: "fake" })
    assert.equal(cpus.length, 2)
    assert.equal((await topology(movable)).nodes.length, 2)
    const before = await hostOf(pinned)
    assert.equal((await c.act(pinned, move, asAdmin())).status, 202)
    const ended = await eventually("the move to end", async () => {
      const { body } = await c.call("GET", `/os-migrations?instance_uuid=${pinned}`, undefined, asAdmin())
      return body.migrations.find(({ status }: { status: string }) => status === "error")
    })
    assert.equal(ended.migration_type, "live-migration")
    await c.reaches(pinned, "ACTIVE")
    assert.equal(await hostOf(pinned), before)
  } finally {
    await Promise.all([movable, pinned].map(remove))
    await closeOtherHost(platform)
  }
})
