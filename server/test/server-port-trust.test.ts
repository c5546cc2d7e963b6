// What binds a port to a server is the column that the server-port verbs write. device_id is text: whoever writes
// another's server into it gets nothing of that server, and gives it nothing.
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { request } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { sql } from "kysely"
import { serveMetadata } from "../src/compute/index.ts"
import { type ServerCloud, startServerCloud } from "./server-cloud.ts"

interface Stranger {
  token: string
  networkId: string
}

let c: ServerCloud
let stranger: Stranger
before(async () => {
  c = await startServerCloud()
  stranger = await makeStranger("mallory", "10.66.0.0/24")
})
after(async () => await c[Symbol.asyncDispose]())

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
async function made(token: string, path: string, key: string, body: Record<string, unknown>): Promise<any> {
  const reply = await c.cloud.request("POST", path, { token, body: { [key]: body } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[key]
}

/** A member of another project, with a network of its own. */
async function makeStranger(name: string, cidr: string): Promise<Stranger> {
  const domain = { domain_id: "default" }
  const project = await made(c.admin, "/identity/v3/projects", "project", { name, ...domain })
  const user = await made(c.admin, "/identity/v3/users", "user", { name, password: name, ...domain })
  const { body } = await c.cloud.request("GET", "/identity/v3/roles?name=member", { token: c.admin })
  const grant = `/identity/v3/projects/${project.id}/users/${user.id}/roles/${body.roles[0].id}`
  await c.cloud.request("PUT", grant, { token: c.admin })
  const token = await c.cloud.token({ user: name, password: name, project: name })
  const network = await made(token, "/network/v2.0/networks", "network", { name: "mine" })
  await made(token, "/network/v2.0/subnets", "subnet", { network_id: network.id, cidr, ip_version: 4 })
  return { token, networkId: network.id }
}

async function makePort(token: string, port: Record<string, unknown>) {
  return await made(token, "/network/v2.0/ports", "port", port)
}

const changePort = (token: string, id: string, port: Record<string, unknown>) =>
  c.cloud.request("PUT", `/network/v2.0/ports/${id}`, { token, body: { port } })

async function rowOf(portId: string) {
  const { rows } = await sql<{ host: string; server: string | null; owner: string; device: string }>`
    select host_id as host, server_id as server, device_owner as owner, device_id as device
    from network.port where id = ${portId}`.execute(c.cloud.database.db)
  return rows[0]
}

const interfacesOf = async (serverId: string) =>
  (await c.call("GET", `/servers/${serverId}/os-interface`)).body.interfaceAttachments

async function privateId(): Promise<string> {
  const { body } = await c.cloud.request("GET", "/network/v2.0/networks?name=private", { token: c.demo })
  return body.networks[0].id
}

/** What the metadata service answers to this address on this network. */
async function metadataFor(networkId: string, address: string, path: string) {
  const dir = await mkdtemp(join(tmpdir(), "kumoi-device-"))
  try {
    await using _service = await serveMetadata(c.cloud.cloud.platform, { socketPath: join(dir, "s") })
    return await read(join(dir, "s"), path, {
      "x-forwarded-for": address,
      "x-kumoi-network-id": networkId,
    })
  } finally {
    await rm(dir, { recursive: true })
  }
}

async function read(socketPath: string, path: string, headers: Record<string, string>) {
  return await new Promise<{ status: number; body: string }>((resolve, reject) => {
    const asked = request({ socketPath, path, headers }, (response) => {
      let body = ""
      response.on("data", (chunk: Buffer) => (body += chunk))
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }))
    })
    asked.on("error", reject)
    asked.end()
  })
}

test("a port whose device_id names a server of another project is nothing to that server", async () => {
  const secret = "#!/bin/sh\n# database password\n"
  const victim = await c.create({ name: "victim", user_data: Buffer.from(secret).toString("base64") })
  const { addresses } = await c.reaches(victim, "ACTIVE")
  const device = { network_id: stranger.networkId, device_id: victim, device_owner: "compute:nova" }
  const port = await makePort(stranger.token, device)

  const path = "/openstack/latest/user_data"
  const stolen = await metadataFor(stranger.networkId, port.fixed_ips[0].ip_address, path)
  assert.equal(stolen.status, 404, `another tenant reads: ${stolen.body}`)
  const own = await metadataFor(await privateId(), addresses.private[0].addr, path)
  assert.equal(own.body, secret)
  // And the victim neither shows nor gets the foreign interface, nor do its calls write it.
  assert.equal((await c.show(victim)).addresses.mine, undefined)
  assert.equal((await interfacesOf(victim)).length, 1)
  await made(c.demo, "/network/v2.0/security-groups", "security_group", { name: "mark" })
  assert.equal((await c.act(victim, { addSecurityGroup: { name: "mark" } })).status, 202)
  const seen = await c.cloud.request("GET", `/network/v2.0/ports/${port.id}`, { token: stranger.token })
  assert.deepEqual(seen.body.port.security_groups, port.security_groups)
  assert.equal((await c.act(victim, { reboot: { type: "HARD" } })).status, 202)
  assert.deepEqual(Object.keys((await c.reaches(victim, "ACTIVE")).addresses), ["private"])
  assert.deepEqual(await rowOf(port.id), { host: "", server: null, owner: "compute:nova", device: victim })
})

test("a machine's own port does not become another machine's by a change of its text", async () => {
  const victim = await c.create({ name: "victim", user_data: Buffer.from("mine alone").toString("base64") })
  await c.reaches(victim, "ACTIVE")
  const { body } = await c.call(
    "POST",
    "/servers",
    {
      server: {
        name: "attacker",
        imageRef: c.imageId,
        flavorRef: c.flavorId,
        networks: [{ uuid: stranger.networkId }],
        user_data: Buffer.from("the stranger's").toString("base64"),
      },
    },
    { token: stranger.token },
  )
  await c.reaches(body.server.id, "ACTIVE")
  const query = `/network/v2.0/ports?device_id=${body.server.id}`
  const [port] = (await c.cloud.request("GET", query, { token: stranger.token })).body.ports
  assert.equal(port.device_owner, "compute:nova")
  assert.equal((await changePort(stranger.token, port.id, { device_id: victim })).status, 200)

  const [{ ip_address: address }] = port.fixed_ips
  const reply = await metadataFor(stranger.networkId, address, "/openstack/latest/user_data")
  assert.equal(reply.body, "the stranger's")
  assert.equal((await interfacesOf(victim)).length, 1)
  // The binding stays through text of any sort, and writes what people see anew.
  const mac = { device_id: "", device_owner: "", mac_address: "fa:16:3e:00:00:01" }
  assert.equal((await changePort(c.admin, port.id, mac)).status, 409)
  const cleared = await changePort(stranger.token, port.id, { device_id: "", device_owner: "" })
  assert.deepEqual([cleared.status, cleared.body.port.device_id], [200, ""])
  const again = {
    server: { name: "second", imageRef: c.imageId, flavorRef: c.flavorId, networks: [{ port: port.id }] },
  }
  assert.equal((await c.call("POST", "/servers", again, { token: stranger.token })).status, 409)
  const how = { token: stranger.token }
  assert.equal((await c.act(body.server.id, { reboot: { type: "HARD" } }, how)).status, 202)
  await c.reaches(body.server.id, "ACTIVE")
  const row = await rowOf(port.id)
  assert.deepEqual([row?.server, row?.device, row?.owner], [body.server.id, body.server.id, "compute:nova"])
})

test("a port that names one's own server is no interface of it until it is attached", async () => {
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const port = await makePort(c.demo, {
    network_id: await privateId(),
    device_id: id,
    device_owner: "compute:nova",
  })
  assert.equal((await interfacesOf(id)).length, 1)
  // As with Nova a port with a device is in use.
  const attach = { interfaceAttachment: { port_id: port.id } }
  assert.equal((await c.call("POST", `/servers/${id}/os-interface`, attach)).status, 409)
  assert.equal((await changePort(c.demo, port.id, { device_id: "", device_owner: "" })).status, 200)
  assert.equal((await c.call("POST", `/servers/${id}/os-interface`, attach)).status, 200)
  assert.equal((await interfacesOf(id)).length, 2)
})

test("a machine gets no port of another project, whoever asks", async () => {
  const port = await makePort(stranger.token, { network_id: stranger.networkId })
  const id = await c.create()
  await c.reaches(id, "ACTIVE")
  const attach = { interfaceAttachment: { port_id: port.id } }
  for (const token of [c.demo, c.admin]) {
    const attached = await c.call("POST", `/servers/${id}/os-interface`, attach, { token })
    assert.equal(attached.status, 400, JSON.stringify(attached.body))
    const server = { name: "x", imageRef: c.imageId, flavorRef: c.flavorId, networks: [{ port: port.id }] }
    assert.equal((await c.call("POST", "/servers", { server }, { token })).status, 400)
  }
  assert.deepEqual(await rowOf(port.id), { host: "", server: null, owner: "", device: "" })
})

test("an administrator lists servers by address whatever tenants write into their ports", async () => {
  await makePort(stranger.token, {
    network_id: stranger.networkId,
    device_id: "x",
    device_owner: "compute:a",
  })
  const id = await c.create()
  const { addresses } = await c.reaches(id, "ACTIVE")
  const path = `/servers?all_tenants=1&ip=${addresses.private[0].addr.replaceAll(".", "\\.")}$`
  const { status, body } = await c.call("GET", path, undefined, { token: c.admin })
  assert.equal(status, 200, JSON.stringify(body))
  assert.deepEqual(
    body.servers.map((s: { id: string }) => s.id),
    [id],
  )
})

test("no port poses as a part of the cloud's own", async () => {
  const router = await made(c.demo, "/network/v2.0/routers", "router", { name: "r" })
  const owners = ["router_interface", "router_gateway", "floatingip", "distributed"].map(
    (o) => `network:${o}`,
  )
  const { token, networkId } = stranger
  for (const owner of owners) {
    const posed = { network_id: networkId, device_id: router.id, device_owner: owner }
    const reply = await c.cloud.request("POST", "/network/v2.0/ports", { token, body: { port: posed } })
    assert.equal(reply.status, 409, `${owner}: ${JSON.stringify(reply.body)}`)
  }
  // Not in two steps either.
  const port = await makePort(token, { network_id: networkId, device_id: router.id })
  for (const owner of owners) {
    const reply = await changePort(token, port.id, { device_owner: owner })
    assert.equal(reply.status, 409, `${owner}: ${JSON.stringify(reply.body)}`)
  }
  // And what is the cloud's own stays what it is; clients that send all attributes back are served.
  const { body } = await c.cloud.request("GET", "/network/v2.0/subnets", { token })
  const own = await made(token, "/network/v2.0/routers", "router", { name: "own" })
  const path = `/network/v2.0/routers/${own.id}/add_router_interface`
  const added = await c.cloud.request("PUT", path, {
    token,
    body: { subnet_id: body.subnets.find((s: { network_id: string }) => s.network_id === networkId).id },
  })
  assert.equal(added.status, 200, JSON.stringify(added.body))
  const id = added.body.port_id
  assert.equal((await changePort(token, id, { device_id: router.id })).status, 409)
  assert.equal((await changePort(token, id, { device_owner: "" })).status, 409)
  const same = { name: "named", device_id: own.id, device_owner: "network:router_interface" }
  assert.equal((await changePort(token, id, same)).status, 200)
  assert.equal((await changePort(token, port.id, { device_owner: "network:dhcp" })).status, 200)
})
