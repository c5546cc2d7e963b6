// What the network service does for servers, called as compute calls it.
import assert from "node:assert/strict"
import { after, afterEach, before, test } from "node:test"
import {
  attachServerInterfaces,
  changeServerSecurityGroup,
  detachServerInterface,
  type InterfaceRequest,
  listSecurityGroupsOfServer,
  listServerPorts,
  makeServerPorts,
  metadataNetworks,
  type NetworksRequest,
  type PlannedServerPorts,
  planServerInterface,
  planServerPorts,
  releaseServerPorts,
  serverAddresses,
  serverIdByAddress,
  serversWithAddress,
  settleNetwork,
} from "../src/network/index.ts"
import { type Ctx, internalCtx } from "../src/platform/context/context.ts"
import { transact } from "../src/platform/db/database.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { eui64Address } from "../src/platform/net/address.ts"
import { assertEngineHasAll, startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let token: string
let ctx: Ctx
let projectId: string
let privateId: string

before(async () => {
  cloud = await startTestCloud()
  token = await cloud.token({ user: "demo" })
  ctx = internalCtx(cloud.cloud.platform)
  const { body } = await call("GET", "/networks?name=private")
  projectId = body.networks[0].project_id
  privateId = body.networks[0].id
})
after(async () => await cloud[Symbol.asyncDispose]())
afterEach(async () => await assertEngineHasAll(cloud))

async function call(method: string, path: string, body?: unknown) {
  return await cloud.request(method, `/network/v2.0${path}`, { token, ...(body ? { body } : {}) })
}

const on = (networkId: string) => ({ networkId, portId: null, fixedIp: null, tag: null })
const server = (id: string) => ({ id, projectId, hostname: "vm", availabilityZone: null })
const plan = (networks: NetworksRequest, securityGroups: string[] = []) =>
  planServerPorts(ctx, { projectId, networks, securityGroups })

async function makePorts(serverId: string, planned: PlannedServerPorts) {
  const want = { server: server(serverId), host: "host1", planned }
  const vifs = await transact(ctx.db, (tx) => makeServerPorts(ctx, tx, want))
  await settleNetwork(
    ctx,
    vifs.map((vif) => vif.portId),
  )
  return vifs
}

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run
  } catch (error) {
    if (error instanceof Error && "code" in error) return String(error.code)
    throw error
  }
  return "none"
}

test("the only network is chosen, the port is in the engine on return, and a repeat changes nothing", async () => {
  const serverId = newUuid()
  const planned = await plan(null)
  const [vif] = await makePorts(serverId, planned)
  assert.equal(vif?.networkId, privateId)
  const inEngine = cloud.network.want.ports.find((port) => port.id === vif?.portId)
  assert.equal(inEngine?.hostId, "host1")
  assert.equal(inEngine?.dnsName, "vm")
  assert.equal(inEngine?.securityGroupIds.length, 1)
  const again = await Promise.all([makePorts(serverId, planned), makePorts(serverId, planned)])
  assert.deepEqual(
    again.map((vifs) => vifs.map((v) => v.portId)),
    [[vif?.portId], [vif?.portId]],
  )
  await releaseServerPorts(ctx, serverId)
  await releaseServerPorts(ctx, serverId)
  assert.deepEqual(await listServerPorts(ctx, serverId), [])
})

test("two networks are ambiguous only while nothing was chosen", async () => {
  const serverId = newUuid()
  const planned = await plan(null)
  const [first] = await makePorts(serverId, planned)
  const { body } = await call("POST", "/networks", { network: { name: "second" } })
  const second = body.network.id
  assert.equal(await codeOf(plan(null)), "network.server.ambiguous")
  const [again] = await makePorts(serverId, planned)
  assert.equal(again?.portId, first?.portId)
  assert.equal(await codeOf(plan([on(second)])), "network.server.network_without_subnet")
  await call("POST", "/subnets", { subnet: { network_id: second, ip_version: 4, cidr: "10.81.0.0/24" } })
  assert.equal(await codeOf(plan([on(second)])), "none")
  const wrongIp = [{ ...on(second), fixedIp: "10.82.0.4" }]
  assert.equal(await codeOf(plan(wrongIp)), "network.server.fixed_ip_invalid")
  const wrongGroup = plan([on(second)], ["nothing"])
  assert.equal(await codeOf(wrongGroup), "network.server.security_group_not_found")
  assert.equal(await codeOf(plan([on(newUuid())])), "network.server.network_not_found")
  await releaseServerPorts(ctx, serverId)
})

test("what was planned and is gone is told by name", async () => {
  const { body } = await call("POST", "/networks", { network: { name: "third" } })
  const network_id: string = body.network.id
  const made = await call("POST", "/subnets", {
    subnet: { network_id, ip_version: 4, cidr: "10.84.0.0/24" },
  })
  const group = await call("POST", "/security-groups", { security_group: { name: "short-lived" } })
  const onPrivate = await plan([on(privateId)], ["short-lived"])
  const onThird = await plan([on(network_id)])
  await call("DELETE", `/security-groups/${group.body.security_group.id}`)
  await call("DELETE", `/subnets/${made.body.subnet.id}`)
  await call("DELETE", `/networks/${network_id}`)
  assert.equal(await codeOf(makePorts(newUuid(), onPrivate)), "network.server.security_group_not_found")
  assert.equal(await codeOf(makePorts(newUuid(), onThird)), "network.server.network_not_found")
})

test("a port that the user brought is the user's again; one server has it at a time", async () => {
  const { body } = await call("POST", "/ports", { port: { network_id: privateId, name: "mine" } })
  const portId = body.port.id
  const brought = [{ networkId: null, portId, fixedIp: null, tag: "eth" }]
  const a = newUuid()
  const b = newUuid()
  const planned = await plan(brought)
  const results = await Promise.allSettled([a, b].map((id) => makePorts(id, planned)))
  assert.deepEqual(results.map((r) => r.status).sort(), ["fulfilled", "rejected"])
  const owner = results[0]?.status === "fulfilled" ? a : b
  assert.equal((await listServerPorts(ctx, owner))[0]?.tag, "eth")
  await releaseServerPorts(ctx, owner)
  const after = (await call("GET", `/ports/${portId}`)).body.port
  assert.deepEqual([after.device_id, after.device_owner, after.status], ["", "", "DOWN"])
})

test("addresses, groups and the way back from an address", async () => {
  const serverId = newUuid()
  const [vif] = await makePorts(serverId, await plan([on(privateId)]))
  const [port] = await listServerPorts(ctx, serverId)
  const fixed = port?.fixedIps[0]?.ipAddress ?? ""
  const outside = (await call("GET", "/networks?router:external=true")).body.networks[0].id
  const fip = await call("POST", "/floatingips", {
    floatingip: { floating_network_id: outside, port_id: vif?.portId },
  })
  const floating = fip.body.floatingip.floating_ip_address
  const networking = (await serverAddresses(ctx.db, [serverId])).get(serverId)
  assert.deepEqual(
    networking?.addresses.map((x) => [x.label, x.type, x.address]),
    [
      ["private", "fixed", fixed],
      ["private", "floating", floating],
    ],
  )
  assert.deepEqual(networking?.securityGroups, ["default"])
  assert.equal(await serverIdByAddress(ctx.db, { networkId: privateId, address: fixed }), serverId)
  const like = { projectId, pattern: `^${fixed.replaceAll(".", "\\.")}$`, version: 4 } as const
  assert.deepEqual(await serversWithAddress(ctx.db, like), [serverId])
  const linkLocal = eui64Address({ version: 6, first: 0xfe80n << 112n, length: 64 }, vif?.macAddress ?? "")
  assert.equal(await serverIdByAddress(ctx.db, { networkId: privateId, address: linkLocal }), serverId)
  const elsewhere = { networkId: outside, address: linkLocal }
  assert.equal(await serverIdByAddress(ctx.db, elsewhere), undefined)
  const networks = await metadataNetworks(ctx.db)
  const [proxy, ...others] = networks.get("host1") ?? []
  assert.deepEqual([proxy?.networkId, proxy?.serviceIps.length, others], [privateId, 1, []])
  assert.deepEqual([...networks.keys()], ["host1"])
  await call("POST", "/security-groups", { security_group: { name: "extra" } })
  await changeServerSecurityGroup(ctx, { serverId, projectId, group: "extra", change: "add" })
  assert.deepEqual(
    (await listSecurityGroupsOfServer(ctx, serverId)).map((g) => g.name),
    ["default", "extra"],
  )
  await changeServerSecurityGroup(ctx, { serverId, projectId, group: "extra", change: "remove" })
  const removeAgain = changeServerSecurityGroup(ctx, {
    serverId,
    projectId,
    group: "extra",
    change: "remove",
  })
  assert.equal(await codeOf(removeAgain), "network.server.security_group_not_on_server")
  await releaseServerPorts(ctx, serverId)
  const left = (await call("GET", `/floatingips/${fip.body.floatingip.id}`)).body.floatingip
  assert.equal(left.port_id, null)
})

test("interfaces are attached and detached one by one", async () => {
  const serverId = newUuid()
  assert.deepEqual(await makePorts(serverId, await plan("none")), [])
  const network = await call("POST", "/networks", { network: { name: "attached" } })
  const network_id: string = network.body.network.id
  const pool = { start: "10.83.0.2", end: "10.83.0.20" }
  await call("POST", "/subnets", {
    subnet: { network_id, ip_version: 4, cidr: "10.83.0.0/24", allocation_pools: [pool] },
  })
  const request = { ...on(network_id), fixedIp: "10.83.0.40" }
  const attach = async (id: string, interfaceRequest: InterfaceRequest) => {
    const planned = await planServerInterface(ctx, projectId, interfaceRequest)
    const want = { server: server(id), host: "host1", planned }
    const [made] = await transact(ctx.db, (tx) => attachServerInterfaces(ctx, tx, want))
    assert.ok(made)
    return made
  }
  const vif = await attach(serverId, request)
  assert.equal((await listServerPorts(ctx, serverId))[0]?.fixedIps[0]?.ipAddress, "10.83.0.40")
  assert.equal(await codeOf(attach(newUuid(), request)), "network.server.fixed_ip_in_use")
  const more = await attach(serverId, on(privateId))
  assert.deepEqual(
    (await listServerPorts(ctx, serverId)).map((p) => p.portId),
    [vif.portId, more.portId],
  )
  // Twice: who tries it again finds it done.
  for (let time = 0; time < 2; time++) {
    await transact(ctx.db, (tx) => detachServerInterface(ctx, tx, { serverId, portId: vif.portId }))
    assert.deepEqual(
      (await listServerPorts(ctx, serverId)).map((p) => p.portId),
      [more.portId],
    )
  }
  await releaseServerPorts(ctx, serverId)
})

test("fifty servers at once get fifty ports", async () => {
  const ids = Array.from({ length: 50 }, () => newUuid())
  const started = performance.now()
  const planned = await plan([on(privateId)])
  await Promise.all(ids.map((id) => makePorts(id, planned)))
  if (process.env.KUMOI_TEST_TIMES) process.stderr.write(`fifty: ${performance.now() - started} ms\n`)
  const made = await Promise.all(ids.map((id) => listServerPorts(ctx, id)))
  const addresses = made.map((ports) => ports[0]?.fixedIps[0]?.ipAddress)
  assert.equal(new Set(addresses).size, 50)
  await Promise.all(ids.map((id) => releaseServerPorts(ctx, id)))
})
