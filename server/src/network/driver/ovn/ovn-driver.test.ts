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
import { networkDriverContract } from "../contract.ts"
import type { NetworkWant } from "../network-driver.ts"
import { sampleWant } from "../sample-want.ts"
import { OvnDriver } from "./ovn-driver.ts"
import { mapOf } from "./plan.ts"

const program = "/usr/sbin/ovsdb-server"
const schema = "/usr/share/ovn/ovn-nb.ovsschema"
const skip = existsSync(program) && existsSync(schema) ? false : "needs openvswitch-switch and ovn-central"
const dir = mkdtempSync(join(tmpdir(), "kumoi-ovn-nb-"))
const northboundSocket = join(dir, "nb.sock")
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
      Logical_Switch: [],
      Logical_Switch_Port: [],
      Logical_Router: [],
      NAT: [],
      ACL: [],
      Port_Group: [],
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
  new OvnDriver({ northboundSocket, cloudId, gatewayChassis: ["host1"] })

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

const nothing: NetworkWant = {
  networks: [],
  subnets: [],
  ports: [],
  routers: [],
  floatingIps: [],
  securityGroups: [],
}
const unchanged = { created: 0, updated: 0, removed: 0 }

test("rows of others, and their ports in our switch, are left alone", { skip }, async () => {
  await using driver = makeDriver()
  await driver.reconcile(sampleWant)
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
  assert.deepEqual(await driver.reconcile(sampleWant), unchanged)
  const renamed = structuredClone(sampleWant)
  for (const network of renamed.networks) network.name = `${network.name}2`
  await driver.reconcile(renamed)
  assert.ok(names("Logical_Switch_Port").includes("hand port"))
  assert.equal(mapOf(client.table("Logical_Switch").get(ours._uuid)?.external_ids).note, "mine")
  await driver.reconcile(nothing)
  assert.deepEqual(names("Logical_Switch"), ["by hand"])
  await client.transact([{ op: "delete", table: "Logical_Switch", where: [] }])
})

test("what somebody changed or removed by hand is put right", { skip }, async () => {
  await using driver = makeDriver()
  await driver.reconcile(sampleWant)
  await client.transact([
    { op: "update", table: "Logical_Router", where: [], row: { nat: [], enabled: [false] } },
    { op: "update", table: "Port_Group", where: [], row: { acls: [] } },
    { op: "update", table: "Logical_Switch_Port", where: [["type", "==", ""]], row: { port_security: [] } },
  ])
  assert.equal(client.table("NAT").size, 0)
  assert.equal(client.table("ACL").size, 0)
  assert.ok((await driver.reconcile(sampleWant)).created > 0)
  assert.ok(client.table("NAT").size > 0)
  assert.ok(client.table("ACL").size > 0)
  assert.deepEqual(await driver.reconcile(sampleWant), unchanged)
  await driver.reconcile(nothing)
})

test("two clouds share a database, and two writers of one cloud do not double its rows", {
  skip,
}, async () => {
  await using one = makeDriver()
  await using two = makeDriver()
  await Promise.all([one.reconcile(sampleWant), two.reconcile(sampleWant), one.reconcile(sampleWant)])
  assert.equal(client.table("Logical_Router").size, 1)
  await using other = makeDriver("0badcafe")
  assert.deepEqual(await other.reconcile(nothing), unchanged)
  assert.equal(client.table("Logical_Router").size, 1)
  await one.reconcile(nothing)
})

/** A small generator with a fixed seed, so that a failure can be repeated. */
function randomly(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
}

test("from any want to any other, one reconcile is enough", { skip }, async () => {
  await using driver = makeDriver()
  for (let seed = 1; seed <= 60; seed++) {
    const random = randomly(seed)
    const some = <T>(list: readonly T[]): T[] => list.filter(() => random() < 0.7)
    const want = structuredClone(sampleWant)
    want.networks = some(want.networks)
    const known = new Set(want.networks.map((network) => network.id))
    want.subnets = some(want.subnets).filter((subnet) => known.has(subnet.networkId))
    want.ports = some(want.ports).filter((port) => known.has(port.networkId))
    want.securityGroups = some(want.securityGroups)
    want.routers = some(want.routers)
    for (const router of want.routers) {
      router.interfaces = some(router.interfaces).filter((port) => known.has(port.networkId))
      if (random() < 0.3 || !known.has(router.gateway?.networkId ?? "")) router.gateway = null
      router.enableSnat = random() < 0.5
    }
    for (const port of want.ports) {
      port.portSecurityEnabled = random() < 0.7
      port.adminStateUp = random() < 0.7
      if (random() < 0.3) port.dnsName = null
      if (random() < 0.3) port.extraDhcpOptions = [{ name: "mtu", value: "1400", ipVersion: 4 }]
      if (random() < 0.3)
        port.allowedAddressPairs = [{ ipAddress: "10.0.1.99", macAddress: "fa:16:3e:99:99:99" }]
    }
    for (const group of want.securityGroups) {
      group.rules = some(group.rules)
      group.isStateful = random() < 0.7
    }
    want.floatingIps = want.routers.some((router) => router.gateway) ? some(want.floatingIps) : []
    await driver.reconcile(want)
    assert.deepEqual(await driver.reconcile(want), unchanged, `seed ${seed}`)
  }
  await driver.reconcile(nothing)
  for (const table of ["Logical_Switch", "Logical_Router", "Port_Group", "ACL"])
    assert.equal(client.table(table).size, 0, table)
})
