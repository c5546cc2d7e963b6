// Two requests at once, one naming what the other is deleting: it waits for that transaction,
// and is answered in Neutron's words then.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import pg from "pg"
import { eventually } from "../src/platform/clock/clock.ts"
import type { TestReply } from "./cloud.ts"
import { type NetworkCloud, startNetworkCloud } from "./network-cloud.ts"

let c: NetworkCloud
before(async () => {
  c = await startNetworkCloud()
})
after(async () => await c[Symbol.asyncDispose]())

/** Deletes rows, and commits only when the request waits for that. */
async function whileDeleted(statements: string[], request: () => Promise<TestReply>): Promise<TestReply> {
  const { connectionString } = c.cloud.database
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query("begin")
    for (const statement of statements) await client.query(statement)
    const { rows } = await client.query<{ pid: number }>("select pg_backend_pid() as pid")
    const reply = request()
    await eventually("the request waits for the deletion", async () => {
      const waiting = await client.query(
        "select from pg_locks where $1 = any(pg_blocking_pids(pid)) limit 1",
        [rows[0]?.pid],
      )
      return waiting.rowCount === 1
    })
    await client.query("commit")
    return await reply
  } finally {
    await client.end()
  }
}

const dropSubnet = (id: string) => [
  `delete from network.ip_allocation where subnet_id = '${id}'`,
  `delete from network.subnet where id = '${id}'`,
]

async function networkWithSubnets(...cidrs: string[]) {
  const network = await c.make("network", { name: "n" })
  const subnets: { id: string; cidr: string }[] = []
  for (const cidr of cidrs)
    subnets.push(await c.make("subnet", { network_id: network.id, ip_version: 4, cidr }))
  return { network, subnets }
}

test("a port on a subnet that is being deleted", async () => {
  const { network, subnets } = await networkWithSubnets("10.91.0.0/24", "10.91.1.0/24")
  const [first, second] = subnets
  assert.ok(first && second)
  const add = (values: object = {}) =>
    c.call("POST", "/ports", { port: { network_id: network.id, ...values } })
  // It asked for any address: it gets one of the other subnet.
  const anyAddress = await whileDeleted(dropSubnet(first.id), () => add())
  assert.equal(anyAddress.status, 201, JSON.stringify(anyAddress.body))
  assert.deepEqual(
    anyAddress.body.port.fixed_ips.map((ip: { subnet_id: string }) => ip.subnet_id),
    [second.id],
  )
  const named = await whileDeleted(dropSubnet(second.id), () =>
    add({ fixed_ips: [{ subnet_id: second.id }] }),
  )
  assert.ok([400, 404].includes(named.status), JSON.stringify(named.body))
  assert.match(named.body.NeutronError.message, new RegExp(second.id))
})

test("ports, subnets and floating IPs on a network that is being deleted", async () => {
  const drop = (id: string) => [
    `delete from network.ip_allocation where network_id = '${id}'`,
    `delete from network.port where network_id = '${id}'`,
    `delete from network.network where id = '${id}'`,
  ]
  for (const make of [
    (id: string) => c.call("POST", "/ports", { port: { network_id: id } }),
    (id: string) =>
      c.call("POST", "/subnets", { subnet: { network_id: id, ip_version: 4, cidr: "10.92.0.0/24" } }),
  ]) {
    const { network } = await networkWithSubnets()
    await c.refused(
      whileDeleted(drop(network.id), () => make(network.id)),
      404,
      "NetworkNotFound",
    )
  }
})

test("rules and ports of a security group that is being deleted", async () => {
  const group = async () => (await c.make("security_group", { name: "g" })).id
  const drop = (id: string) => [
    `delete from network.security_group_rule where security_group_id = '${id}'`,
    `delete from network.security_group where id = '${id}'`,
  ]
  const { network } = await networkWithSubnets()
  const holder = await group()
  for (const make of [
    (id: string) =>
      c.call("POST", "/security-group-rules", {
        security_group_rule: { security_group_id: id, direction: "ingress" },
      }),
    (id: string) =>
      c.call("POST", "/security-group-rules", {
        security_group_rule: { security_group_id: holder, direction: "ingress", remote_group_id: id },
      }),
    (id: string) => c.call("POST", "/ports", { port: { network_id: network.id, security_groups: [id] } }),
  ]) {
    const id = await group()
    await c.refused(
      whileDeleted(drop(id), () => make(id)),
      404,
      "SecurityGroupNotFound",
    )
  }
})

test("a router's interface on a subnet that is being deleted", async () => {
  const { subnets } = await networkWithSubnets("10.93.0.0/24")
  const id = subnets[0]?.id ?? ""
  const router = await c.make("router", { name: "r" })
  await c.refused(
    whileDeleted(dropSubnet(id), () =>
      c.call("PUT", `/routers/${router.id}/add_router_interface`, { subnet_id: id }),
    ),
    404,
    "SubnetNotFound",
  )
})

test("a subnet from a pool that is being deleted", async () => {
  const pool = await c.make("subnetpool", { name: "p", prefixes: ["10.94.0.0/16"], default_prefixlen: 24 })
  const { network } = await networkWithSubnets()
  await c.refused(
    whileDeleted([`delete from network.subnet_pool where id = '${pool.id}'`], () =>
      c.call("POST", "/subnets", {
        subnet: { network_id: network.id, ip_version: 4, subnetpool_id: pool.id },
      }),
    ),
    404,
    "SubnetPoolNotFound",
  )
})
