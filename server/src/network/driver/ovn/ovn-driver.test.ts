// The driver against a real northbound database, without the daemons behind it.
import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { eventually } from "../../../platform/clock/clock.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { OvsdbClient } from "../../../platform/ovsdb/index.ts"
import { networkDriverContract } from "../testing/contract.ts"
import { randomFrom, randomWant, tellDifferences } from "../testing/random-want.ts"
import { sampleWant } from "../testing/sample-want.ts"
import { tellAll } from "../testing/tell-all.ts"
import { nothing } from "../want.ts"
import { mapOf } from "./have-index.ts"
import { OvnDriver } from "./ovn-driver.ts"

const program = "/usr/sbin/ovsdb-server"
const schema = "/usr/share/ovn/ovn-nb.ovsschema"
const skip = existsSync(program) && existsSync(schema) ? false : "needs openvswitch-switch and ovn-central"
const dir = mkdtempSync(join(tmpdir(), "kumoi-ovn-nb-"))
const northboundSocket = join(dir, "nb.sock")
const dumpedTables = [
  "Logical_Switch",
  "Logical_Switch_Port",
  "Logical_Router",
  "Logical_Router_Port",
  "Logical_Router_Static_Route",
  "Gateway_Chassis",
  "HA_Chassis_Group",
  "HA_Chassis",
  "NAT",
  "QoS",
  "Load_Balancer",
  "ACL",
  "Port_Group",
  "DHCP_Options",
  "DNS",
]
let server: ChildProcess
let client: OvsdbClient

before(async () => {
  if (skip) return
  await exec("ovsdb-tool", ["create", join(dir, "nb.db"), schema])
  const args = [join(dir, "nb.db"), `--remote=punix:${northboundSocket}`, `--unixctl=${join(dir, "ctl")}`]
  server = spawn(program, [...args, "--no-chdir"], { stdio: "ignore" })
  await eventually("ovsdb-server to listen", () => existsSync(northboundSocket))
  client = new OvsdbClient({
    socketPath: northboundSocket,
    database: "OVN_Northbound",
    tables: {
      ...Object.fromEntries(dumpedTables.map((table) => [table, []])),
    },
  })
  await client.ready()
})

after(async () => {
  if (!skip) {
    await client.close()
    const gone = new Promise((resolve) => server.once("exit", resolve))
    server.kill("SIGKILL")
    await gone
  }
  rmSync(dir, { recursive: true })
})

const makeDriver = (cloudId = "00c0ffee") =>
  new OvnDriver({ northboundSocket, cloudId, gateways: [{ chassis: "host1", priority: 1 }] })

networkDriverContract(
  "ovn",
  async () => ({
    driver: makeDriver(),
    // What ovn-controller and northd do when the port's interface appears.
    plug: async (portId) => {
      await client.transact([
        { op: "update", table: "Logical_Switch_Port", where: [["name", "==", portId]], row: { up: [true] } },
      ])
    },
  }),
  skip,
)

const unchanged = { created: 0, updated: 0, removed: 0 }

test("rows of others, and their ports in our switch, are left alone", { skip }, async () => {
  await using driver = makeDriver()
  await tellAll(driver, sampleWant)
  const ours = client.table("Logical_Switch").values().next().value
  assert.ok(ours)
  await client.transact([
    { op: "insert", table: "Logical_Switch", row: { name: "by hand" } },
    { op: "insert", table: "Logical_Switch_Port", row: { name: "hand port" }, name: "port" },
    {
      op: "mutate",
      table: "Logical_Switch",
      where: [["_uuid", "==", ours._uuid]],
      mutations: [
        ["ports", "insert", [{ named: "port" }]],
        ["external_ids", "insert", { note: "mine" }],
      ],
    },
  ])
  const names = (table: string) => [...client.table(table).values()].map((row) => row.name)
  assert.deepEqual(await tellAll(driver, sampleWant), unchanged)
  const renamed = structuredClone(sampleWant)
  for (const network of renamed.networks) network.name = `${network.name}2`
  await tellAll(driver, renamed)
  assert.ok(names("Logical_Switch_Port").includes("hand port"))
  assert.equal(mapOf(client.table("Logical_Switch").get(ours._uuid)?.external_ids).note, "mine")
  await tellAll(driver, nothing)
  assert.deepEqual(names("Logical_Switch"), ["by hand"])
  await client.transact([{ op: "delete", table: "Logical_Switch", where: [] }])
})

test("what somebody changed or removed by hand is put right", { skip }, async () => {
  await using driver = makeDriver()
  await tellAll(driver, sampleWant)
  await client.transact([
    { op: "update", table: "Logical_Router", where: [], row: { nat: [], enabled: [false] } },
    { op: "update", table: "Port_Group", where: [], row: { acls: [] } },
    { op: "update", table: "Logical_Switch_Port", where: [["type", "==", ""]], row: { port_security: [] } },
  ])
  assert.equal(client.table("NAT").size, 0)
  assert.equal(client.table("ACL").size, 0)
  assert.ok((await tellAll(driver, sampleWant)).created > 0)
  assert.ok(client.table("NAT").size > 0)
  assert.ok(client.table("ACL").size > 0)
  assert.deepEqual(await tellAll(driver, sampleWant), unchanged)
  await tellAll(driver, nothing)
})

/** By chassis: in how many groups it is the first. */
function leadersOf(tables: OvsdbClient): Record<string, number> {
  const leads: Record<string, number> = {}
  for (const group of tables.table("HA_Chassis_Group").values()) {
    const members = [...tables.table("HA_Chassis").values()].filter(
      (row) => Array.isArray(group.ha_chassis) && group.ha_chassis.includes(row._uuid),
    )
    const [first] = members.sort((one, other) => Number(other.priority) - Number(one.priority))
    if (first) leads[String(first.chassis_name)] = (leads[String(first.chassis_name)] ?? 0) + 1
  }
  return leads
}

test("gateway hosts that come and go change their groups and no router", { skip }, async () => {
  await using driver = makeDriver()
  await driver.setGateways([{ chassis: "host1", priority: 1 }])
  assert.equal(client.table("HA_Chassis").size, 0, "no router, no gateway")
  await tellAll(driver, sampleWant)
  const routerPorts = () => [...client.table("Logical_Router_Port").values()]
  const before = routerPorts()
  const bound = before.filter((row) => Array.isArray(row.ha_chassis_group) && row.ha_chassis_group.length > 0)
  assert.equal(bound.length, 1, "the gateway and no other port")
  assert.deepEqual(leadersOf(client), { host1: 8 })
  await driver.setGateways(["host1", "host2", "host3"].map((chassis) => ({ chassis, priority: 1 })))
  const {
    host1 = 0,
    host2 = 0,
    host3 = 0,
  } = await eventually("three hosts", () => {
    const leaders = leadersOf(client)
    return Object.keys(leaders).length === 3 && leaders
  })
  assert.equal(host1 + host2 + host3, 8)
  await driver.setGateways([
    { chassis: "host2", priority: 2 },
    { chassis: "host3", priority: 1 },
  ])
  await eventually("the better one to lead", () => leadersOf(client).host2 === 8)
  assert.deepEqual(routerPorts(), before)
  await driver.setGateways([])
  await eventually("no host to be left", () => client.table("HA_Chassis").size === 0)
  assert.deepEqual(await tellAll(driver, sampleWant), unchanged)
  await tellAll(driver, nothing)
  await eventually("no group to be left", () => client.table("HA_Chassis_Group").size === 0)
})

test("what an earlier program said of gateways at each router goes", { skip }, async () => {
  await using driver = makeDriver()
  await tellAll(driver, sampleWant)
  const port = [...client.table("Logical_Router_Port").values()].find(
    (row) => Array.isArray(row.ha_chassis_group) && row.ha_chassis_group.length > 0,
  )
  assert.ok(port)
  const name = `${String(port.name)}_host1`
  const external_ids = {
    "kumoi:id": name,
    "kumoi:cloud": "00c0ffee",
    "kumoi:owner": `routers:${sampleWant.routers[0]?.id}`,
  }
  await client.transact([
    {
      op: "insert",
      table: "Gateway_Chassis",
      row: { name, chassis_name: "host1", priority: 1, external_ids },
      name: "chassis",
    },
    {
      op: "mutate",
      table: "Logical_Router_Port",
      where: [["_uuid", "==", port._uuid]],
      mutations: [["gateway_chassis", "insert", [{ named: "chassis" }]]],
    },
  ])
  assert.equal(client.table("Gateway_Chassis").size, 1)
  await tellAll(driver, sampleWant)
  await eventually("it to be gone", () => client.table("Gateway_Chassis").size === 0)
  assert.deepEqual(await tellAll(driver, sampleWant), unchanged)
  await tellAll(driver, nothing)
})

test("two clouds share a database, and two writers of one cloud do not double its rows", {
  skip,
}, async () => {
  await using one = makeDriver()
  await using two = makeDriver()
  await Promise.all([tellAll(one, sampleWant), tellAll(two, sampleWant), tellAll(one, sampleWant)])
  assert.equal(client.table("Logical_Router").size, 1)
  await using other = makeDriver("0badcafe")
  assert.deepEqual(await tellAll(other, nothing), unchanged)
  assert.equal(client.table("Logical_Router").size, 1)
  await tellAll(one, nothing)
})

/** Our rows as text, by our ids in the place of uuids. */
async function dump(driver: OvnDriver): Promise<string[]> {
  // The reader is another client: it has seen all once it has seen this.
  const mark = `mark ${++marks}`
  await client.transact([{ op: "insert", table: "Logical_Switch", row: { name: mark } }])
  const hasMark = () => [...client.table("Logical_Switch").values()].some((row) => row.name === mark)
  await eventually("the reader to follow", hasMark)
  await client.transact([{ op: "delete", table: "Logical_Switch", where: [["name", "==", mark]] }])
  const rows = dumpedTables.flatMap((table) =>
    [...client.table(table).values()].map((row) => ({ table, row })),
  )
  const ids = new Map(
    rows.map(({ table, row }) => [row._uuid, `${table} ${mapOf(row.external_ids)["kumoi:id"]}`]),
  )
  const readable = (value: unknown): unknown =>
    Array.isArray(value)
      ? value.map((each) => ids.get(each) ?? each).sort()
      : typeof value === "object"
        ? Object.fromEntries(Object.entries(value ?? {}).sort())
        : value
  assert.equal(await driver.health(), undefined)
  return rows
    .filter(({ row }) => row.name !== mark)
    .map(({ table, row: { _uuid, ...row } }) =>
      JSON.stringify([
        table,
        Object.fromEntries(Object.entries(row).map(([key, value]) => [key, readable(value)])),
      ]),
    )
    .sort()
}
let marks = 0

test("from any want to any other in parts: the same rows as made anew", { skip }, async () => {
  await using driver = makeDriver()
  let want = nothing
  for (let seed = 1; seed <= 25; seed++) {
    const random = randomFrom(seed)
    const next = randomWant(random)
    await tellDifferences(driver, want, next, random)
    const changed = await dump(driver)
    await tellAll(driver, nothing)
    assert.deepEqual(await dump(driver), [], `seed ${seed}`)
    await tellAll(driver, next)
    assert.deepEqual(changed, await dump(driver), `seed ${seed}`)
    want = next
  }
  await tellAll(driver, nothing)
})
