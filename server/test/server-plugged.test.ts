// A server is ACTIVE when its interfaces are connected, as the network's engine says.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { eventually } from "../src/platform/clock/clock.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let token: string
let networkId: string
const overrides = { "compute.plugWaitMs": 300, "engine.sagaDoAttemptsMost": 3, "engine.sagaRetryFirstMs": 10 }

before(async () => {
  cloud = await startTestCloud({ plugsDevices: true, overrides })
  token = await cloud.token()
  const made = await cloud.request("POST", "/network/v2.0/networks", {
    token,
    body: { network: { name: "n" } },
  })
  networkId = made.body.network.id
  const subnet = { network_id: networkId, cidr: "10.5.0.0/24", ip_version: 4 }
  await cloud.request("POST", "/network/v2.0/subnets", { token, body: { subnet } })
})
after(async () => await cloud?.[Symbol.asyncDispose]())

async function createServer(name: string): Promise<string> {
  const image = await cloud.request("POST", "/image/v2/images", {
    token,
    body: { name, disk_format: "raw", container_format: "bare" },
  })
  await cloud.request("PUT", `/image/v2/images/${image.body.id}/file`, {
    token,
    headers: { "content-type": "application/octet-stream" },
    body: "x".repeat(1024),
  })
  const server = { name, flavorRef: "1", imageRef: image.body.id, networks: [{ uuid: networkId }] }
  const { status, body } = await cloud.request("POST", "/compute/v2.1/servers", { token, body: { server } })
  assert.equal(status, 202, JSON.stringify(body))
  return body.server.id
}

const serverOf = async (id: string) =>
  (await cloud.request("GET", `/compute/v2.1/servers/${id}`, { token })).body.server
const portOf = async (id: string) =>
  (await cloud.request("GET", `/network/v2.0/ports?device_id=${id}`, { token })).body.ports[0]

test("a server is in BUILD while its machine runs and its port is down", async () => {
  cloud.network.holdBackAll(true)
  const id = await createServer("held")
  const isRunning = async () =>
    (await cloud.hypervisor.inspect({ serverId: id, driver: "fake" })).power === "running"
  await eventually("the machine to run", isRunning)
  const [server, port] = [await serverOf(id), await portOf(id)]
  assert.deepEqual(
    [server.status, server["OS-EXT-STS:task_state"], port.status],
    ["BUILD", "spawning", "DOWN"],
  )
  cloud.network.holdBackAll(false)
  await eventually("the server", async () => (await serverOf(id)).status === "ACTIVE")
  await eventually("the port", async () => (await portOf(id)).status === "ACTIVE")
})

test("one whose host never connects it is in ERROR and says why, and others are made meanwhile", async () => {
  cloud.network.holdBackAll(true)
  const id = await createServer("lost")
  const server = await eventually("the error", async () => {
    const found = await serverOf(id)
    return found.status === "ERROR" && found
  })
  assert.match(server.fault.message, /does not connect its interfaces|Exhausted all hosts/)
  cloud.network.holdBackAll(false)
  const other = await createServer("other")
  await eventually("another server", async () => (await serverOf(other)).status === "ACTIVE")
})

test("an unshelved server, too, is ACTIVE when its new host has connected it", async () => {
  const id = await createServer("shelved")
  const act = async (body: object) => {
    const { status } = await cloud.request("POST", `/compute/v2.1/servers/${id}/action`, { token, body })
    assert.equal(status, 202)
  }
  const becomes = (status: string) => eventually(status, async () => (await serverOf(id)).status === status)
  await becomes("ACTIVE")
  await act({ shelve: null })
  await eventually("the shelving", async () => (await serverOf(id)).status.startsWith("SHELVED"))
  if ((await serverOf(id)).status === "SHELVED") await act({ shelveOffload: null })
  await becomes("SHELVED_OFFLOADED")
  cloud.network.holdBackAll(true)
  await act({ unshelve: null })
  await eventually("the machine to run", async () => {
    const { power } = await cloud.hypervisor.inspect({ serverId: id, driver: "fake" })
    return power === "running"
  })
  assert.equal((await serverOf(id)).status, "SHELVED_OFFLOADED")
  cloud.network.holdBackAll(false)
  await becomes("ACTIVE")
})
