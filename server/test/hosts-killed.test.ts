// The agent of a joined host dies at every step of a creation, of a detach and of a deletion: the host starts again,
// and each ends as it was to, once.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { answerHost } from "../src/launch/host-answer.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Death } from "./dying-host.ts"
import { HostsCloud } from "./hosts-cloud.ts"
import { MortalHost } from "./mortal-host.ts"

const name = "host2"
let at: HostsCloud
let token: string
let imageId: string
let networkId: string
let volumeId: string
let host: MortalHost

before(async () => {
  at = await HostsCloud.start()
  token = await at.cloud.token()
  host = await MortalHost.join(at, name)
  const { network } = await ok("POST", "/network/v2.0/networks", { network: { name: "inside" } })
  networkId = network.id
  await ok("POST", "/network/v2.0/subnets", {
    subnet: { network_id: networkId, ip_version: 4, cidr: "10.9.0.0/24" },
  })
  const image = await ok("POST", "/image/v2/images", {
    ...{ name: "small", disk_format: "raw", container_format: "bare" },
  })
  imageId = image.id
  await at.cloud.request("PUT", `/image/v2/images/${imageId}/file`, {
    token,
    headers: { "content-type": "application/octet-stream" },
    body: "x".repeat(1024),
  })
  const spec = { name: "files", extra_specs: { volume_backend_name: "file" } }
  await ok("POST", "/volume/v3/types", { volume_type: spec })
  const { volume } = await eventually("the back end", async () => {
    const wanted = { size: 1, volume_type: "files" }
    const made = await call("POST", "/volume/v3/volumes", { volume: wanted })
    if (made.status !== 202) return false
    await eventually("the volume", async () => (await volumeOf(made.body.volume.id)).status !== "creating")
    return (await volumeOf(made.body.volume.id)).status === "available" && made.body
  })
  volumeId = volume.id
})
after(async () => {
  host?.end()
  await at?.[Symbol.asyncDispose]()
})

async function call(method: string, path: string, body?: object) {
  const headers = { "x-openstack-nova-api-version": "2.74" }
  return await at.cloud.request(method, path, { token, headers, ...(body ? { body } : {}) })
}

async function ok(method: string, path: string, body?: object) {
  const reply = await call(method, path, body)
  assert.ok(reply.status < 300, `${method} ${path}: ${reply.status} ${JSON.stringify(reply.body)}`)
  return reply.body
}

const volumeOf = async (id: string) => (await ok("GET", `/volume/v3/volumes/${id}`)).volume
const serverPath = (id: string) => `/compute/v2.1/servers/${id}`

async function create(): Promise<string> {
  const server = { name: "s", flavorRef: "1", imageRef: imageId, host: name, networks: [{ uuid: networkId }] }
  return (await ok("POST", "/compute/v2.1/servers", { server })).server.id
}

async function isSettled(id: string): Promise<void> {
  const status = await eventually(`server ${id} to settle`, async () => {
    const { server } = await ok("GET", serverPath(id))
    return server["OS-EXT-STS:task_state"] === null && server.status !== "BUILD" && server.status
  })
  assert.equal(status, "ACTIVE")
}

const isGone = (id: string) =>
  eventually(`server ${id} to be gone`, async () => (await call("GET", serverPath(id))).status === 404)

/** These machines are on the host, each once and as the cloud knows them. */
async function holds(...ids: string[]): Promise<void> {
  const { platform } = at.cloud.cloud
  const listed = await eventually("the host to answer", () =>
    sendToAgent(platform, name, "vm.list", {}, { timeoutMs: 5_000 }).catch(() => false as const),
  )
  assert.deepEqual(
    listed.map(({ serverId }) => serverId),
    ids,
  )
  const answer = await answerHost(at.cloud.cloud, { action: "unknown", host: name })
  assert.ok("hosts" in answer)
  assert.deepEqual(
    answer.hosts.map(({ error, findings }) => ({ error, findings })),
    [{ error: null, findings: [] }],
  )
}

interface Story {
  /** Returns what the work is done to. */
  prepare(): Promise<string>
  /** Is asked for with this; the host dies on its way. */
  work(id: string): Promise<string>
  /** Waits for its end and looks. */
  check(id: string): Promise<void>
  cleanUp(id: string): Promise<void>
}

/** Once without a death, to see which calls there are; then with one before and after each of these. */
async function dieEverywhere(story: Story): Promise<string[]> {
  const once = async (death: Death) => {
    const prepared = await story.prepare()
    host.tell(death)
    const { deaths } = host
    const id = await story.work(prepared)
    if (death.atCall > 0) await eventually("the host to die", () => host.deaths > deaths)
    await story.check(id)
    const calls = [...host.calls]
    // What follows is to happen once.
    host.tell({ atCall: 0, when: "before" })
    await story.cleanUp(id)
    return calls
  }
  const calls = await once({ atCall: 0, when: "before" })
  for (const [index] of calls.entries())
    for (const when of ["before", "after"] as const) await once({ atCall: index + 1, when })
  return calls
}

const nothing = async () => {}

async function remove(id: string): Promise<void> {
  await ok("DELETE", serverPath(id))
  await isGone(id)
  await holds()
}

test("killed at every step of a creation, the server is ACTIVE, and its machine is there once", async (t) => {
  const calls = await dieEverywhere({
    prepare: async () => "",
    work: create,
    check: async (id) => {
      await isSettled(id)
      await holds(id)
    },
    cleanUp: remove,
  })
  t.diagnostic(calls.join(" "))
  assert.ok(calls.includes("hypervisor.ensure") && calls.includes("ports.plug"))
})

test("killed at every step of a detach, the volume is free, and the machine runs on without it", async (t) => {
  const id = await create()
  await isSettled(id)
  const attachment = `${serverPath(id)}/os-volume_attachments`
  const calls = await dieEverywhere({
    prepare: async () => {
      await ok("POST", attachment, { volumeAttachment: { volumeId } })
      await eventually("the volume to be in use", async () => (await volumeOf(volumeId)).status === "in-use")
      await isSettled(id)
      return id
    },
    work: async () => {
      await ok("DELETE", `${attachment}/${volumeId}`)
      return id
    },
    check: async () => {
      await eventually("the volume to be free", async () => (await volumeOf(volumeId)).status === "available")
      assert.deepEqual((await ok("GET", attachment)).volumeAttachments, [])
      await isSettled(id)
      await holds(id)
    },
    cleanUp: nothing,
  })
  t.diagnostic(calls.join(" "))
  assert.ok(calls.includes("hypervisor.unplugVolume"))
  await remove(id)
})

test("killed at every step of an interface's detach, the port is gone", async (t) => {
  const id = await create()
  await isSettled(id)
  const interfaces = `${serverPath(id)}/os-interface`
  const portsOf = async () => (await ok("GET", interfaces)).interfaceAttachments.length
  const calls = await dieEverywhere({
    prepare: async () => {
      const made = await ok("POST", interfaces, { interfaceAttachment: { net_id: networkId } })
      await eventually("the interface", async () => (await portsOf()) === 2)
      await isSettled(id)
      return made.interfaceAttachment.port_id
    },
    work: async (portId) => {
      await ok("DELETE", `${interfaces}/${portId}`)
      return portId
    },
    check: async (portId) => {
      const path = `/network/v2.0/ports/${portId}`
      await eventually("the port to be gone", async () => (await call("GET", path)).status === 404)
      assert.equal(await portsOf(), 1)
      await isSettled(id)
      await holds(id)
    },
    cleanUp: nothing,
  })
  t.diagnostic(calls.join(" "))
  assert.ok(calls.includes("hypervisor.unplugVif") && calls.includes("ports.unplug"))
  await remove(id)
})

test("killed at every step of a deletion, nothing is left", async (t) => {
  const calls = await dieEverywhere({
    prepare: async () => {
      const id = await create()
      await isSettled(id)
      return id
    },
    work: async (id) => {
      await ok("DELETE", serverPath(id))
      return id
    },
    check: async (id) => {
      await isGone(id)
      await holds()
    },
    cleanUp: nothing,
  })
  t.diagnostic(calls.join(" "))
  assert.ok(calls.includes("hypervisor.destroy"))
})
