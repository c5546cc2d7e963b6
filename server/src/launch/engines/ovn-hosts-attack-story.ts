// Started by ovn-hosts-attack.host.test.ts within a network namespace of its own: whoever has taken the second host
// over has its certificate and key, and asks the southbound database with them as no ovn-controller would.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { doorServerName } from "../../agent/door-protocol.ts"
import type { NetworkWant, WantPort } from "../../network/driver/network-driver.ts"
import { OvnDriver } from "../../network/driver/ovn/ovn-driver.ts"
import { floatingAddress, ports, sampleWant } from "../../network/driver/testing/sample-want.ts"
import { tellAll } from "../../network/driver/testing/tell-all.ts"
import { eventually } from "../../platform/clock/clock.ts"
import type { ChassisFindings } from "./ovn-chassis-watch.ts"
import { askSouthbound, StoryAuthority, StoryHost, southboundPort, startWire } from "./ovn-hosts-world.ts"
import type { PeerTls } from "./ovn-paths.ts"
import { allUp, Guest } from "./ovn-story-world.ts"

const publicAddress = "172.24.4.1/24"

const onOne = { ...ports.a, hostId: "host1", dnsName: null }
const onTwo: WantPort = {
  ...ports.closed,
  ...{ id: "00000090-0000-4000-8000-000000000090", name: "p90", macAddress: "fa:16:3e:00:00:5a" },
  fixedIps: [{ subnetId: ports.a.fixedIps[0]?.subnetId ?? "", ipAddress: "10.0.1.20" }],
  ...{ hostId: "host2", dnsName: null, securityGroupIds: ports.a.securityGroupIds },
}

let one: StoryHost
let two: StoryHost
let stolen: PeerTls
let driver: OvnDriver
let a: Guest
let b: Guest
let want: NetworkWant
const cleanup = new AsyncDisposableStack()

before(async () => {
  const wire = await startWire()
  cleanup.defer(async () => await wire.end())
  const authority = await StoryAuthority.make(wire.dir, "ca")
  const tlsOf = async (name: string) => ({
    ...{ address: "10.77.0.1", port: southboundPort },
    tls: await authority.sign(name),
  })
  for (const [n, isCentral] of [
    [1, true],
    [2, false],
  ] as const) {
    const hostId = `host${n}`
    const southbound = await tlsOf(isCentral ? doorServerName : hostId)
    const host = await StoryHost.start(wire, n, { hostId, isCentral, publicAddress, southbound })
    cleanup.defer(async () => await host.end())
    host.settings.address = host.address
    cleanup.defer(async () => void (await host.do("end")))
    if (isCentral) one = host
    else {
      two = host
      stolen = southbound.tls
    }
    await host.do("start")
    if (isCentral) await host.do("open")
  }
  driver = cleanup.use(
    new OvnDriver({
      northboundSocket: one.paths.northboundSocket,
      cloudId: one.paths.id,
      gateways: [{ chassis: "host1", priority: 1 }],
    }),
  )
  for (const host of [one, two])
    await eventually("the chassis", async () => (await encapsOf(host.settings.hostId)).includes(host.address))
  want = { ...structuredClone(sampleWant), ports: [onOne, onTwo] }
  await tellAll(driver, want)
  a = await Guest.start(one, onOne)
  cleanup.defer(async () => await a.end())
  b = await Guest.start(two, onTwo)
  cleanup.defer(async () => await b.end())
  await allUp({ driver }, want)
  for (const guest of [a, b]) await guest.lease()
  await eventually("the neighbour", () => b.pings("10.0.1.10"))
})
after(async () => await cleanup.disposeAsync())

/** As who may do all. */
const asCloud = (...args: string[]) => askSouthbound(one, one, args)
/** With the second host's certificate. */
const asTwo = (...args: string[]) => askSouthbound(one, two, args, stolen)
const idOf = (table: string, ...where: string[]) => asCloud("--columns=_uuid", "find", table, ...where)
const firstIdOf = async (table: string) => (await idOf(table)).split("\n")[0] ?? ""
const encapsOf = (chassis: string) => asCloud("--columns=type,ip", "find", "Encap", `chassis_name=${chassis}`)

/** Operations that ovn-sbctl has no words for. */
async function transact(...operations: object[]): Promise<string> {
  const files = ["-p", stolen.keyFile, "-c", stolen.certFile, "-C", stolen.caFile]
  const text = JSON.stringify(["OVN_Southbound", ...operations])
  return (
    await two.run(
      "ovsdb-client",
      [...files, "transact", `ssl:${one.address}:${southboundPort}`, text],
      [0, 1],
    )
  ).stdout
}

async function compare(): Promise<ChassisFindings> {
  // What that verb answers.
  return (await one.do(
    "compare",
    JSON.stringify({ host2: two.address, host3: "10.77.0.3" }),
  )) as ChassisFindings
}

const corrected = () =>
  eventually("a correction", async () => {
    const { addresses } = await compare()
    return addresses.length > 0 && addresses
  })

test("rows of another host, of the network and of who may what are refused", async () => {
  const chassis = await idOf("Chassis", "name=host1")
  const encap = await idOf("Encap", "chassis_name=host1")
  const port = await idOf("Port_Binding", `logical_port=${onOne.id}`)
  const gateway = await firstIdOf("HA_Chassis")
  const group = await firstIdOf("HA_Chassis_Group")
  assert.ok(chassis && encap && port && gateway && group)
  for (const refused of [
    ["set", "Chassis", chassis, "external_ids:a=b"],
    ["set", "Chassis", chassis, "other_config:ovn-bridge-mappings=dc:br-dc"],
    ["set", "Chassis", await idOf("Chassis", "name=host2"), "name=host1"],
    ["set", "Encap", encap, "ip=10.77.0.2"],
    ["set", "Encap", await idOf("Encap", "chassis_name=host2"), "chassis_name=host1"],
    ["set", "Chassis_Private", await idOf("Chassis_Private", "name=host1"), "nb_cfg=7"],
    ["chassis-del", "host1"],
    ["chassis-add", "host4", "geneve", "10.77.0.4"],
    ["set", "HA_Chassis", gateway, "priority=7"],
    ["create", "HA_Chassis_Group", "name=mine"],
    ["clear", "HA_Chassis_Group", group, "ha_chassis"],
    ["set", "Port_Binding", port, "type=localnet"],
    ["set", "Port_Binding", port, "tunnel_key=77"],
    ["set", "Port_Binding", port, 'mac="fa:16:3e:66:66:66"'],
    ["set", "Port_Binding", port, "port_security=[]"],
    ["clear", "Port_Binding", port, "requested_chassis"],
    ["destroy", "Port_Binding", port],
    ["destroy", "Datapath_Binding", await firstIdOf("Datapath_Binding")],
    ["destroy", "Logical_Flow", await firstIdOf("Logical_Flow")],
    ["destroy", "DHCP_Options", await firstIdOf("DHCP_Options")],
    ["set", "SB_Global", ".", 'options:mac_prefix="02:00:00"'],
    ["clear", "SB_Global", ".", "connections"],
    ["set", "Connection", ".", 'role=""'],
    ["create", "Connection", 'target="ptcp:6643"'],
    ["set", "RBAC_Permission", await idOf("RBAC_Permission", "table=Chassis"), 'authorization=""'],
    ["clear", "RBAC_Role", ".", "permissions"],
  ])
    assert.match(await asTwo(...refused), /permission error/, refused.join(" "))
  for (const table of ["Encap", "Chassis", "Chassis_Private"]) {
    const column = table === "Encap" ? "chassis_name" : "name"
    const gone = { op: "delete", table, where: [[column, "==", "host1"]] }
    assert.match(await transact(gone), /permission error/, table)
  }
  const own = await idOf("Chassis", "name=host2")
  assert.equal(await asTwo("set", "Chassis", own, "external_ids:a=b"), "", "its own are its own")
})

test("a port of another host that it says it has is taken back, and its guest is reached", async () => {
  const chassis = await idOf("Chassis", "name=host2")
  const port = await idOf("Port_Binding", `logical_port=${onOne.id}`)
  const shown = () => asCloud("--columns=chassis,options,up", "list", "Port_Binding", port)
  const before = await shown()
  for (const lie of [`chassis=${chassis}`, "up=false", "options:requested-chassis=host2"]) {
    assert.equal(await asTwo("set", "Port_Binding", port, lie), "", "OVN lets it")
    await eventually(`the port to be as it was after ${lie}`, async () => (await shown()) === before)
  }
  await eventually("the guest", () => b.pings("10.0.1.10"))
})

test("a host that goes on saying so is told of", async () => {
  assert.deepEqual((await compare()).ports, [])
  const chassis = await idOf("Chassis", "name=host2")
  const port = await idOf("Port_Binding", `logical_port=${onOne.id}`)
  // Nobody takes it back while its own host is away, and who lies lets no program of his undo it.
  for (const host of [one, two]) await host.do("pauseController")
  try {
    await asTwo("set", "Port_Binding", port, `chassis=${chassis}`)
    const lie = { portId: onOne.id, said: "host2", own: "host1" }
    let looks = 0
    const told = await eventually("the lie to be told", async () => {
      looks++
      const { ports } = await compare()
      return ports.length > 0 && ports
    })
    assert.deepEqual(told, [lie])
    assert.ok(looks > 1, "a port that moves is so for a moment")
  } finally {
    for (const host of [one, two]) await host.do("resumeController")
  }
  await eventually("the port to be taken back", async () => (await compare()).ports.length === 0)
  await eventually("the guest", () => b.pings("10.0.1.10"))
})

test("it is no gateway by its own word", async () => {
  const own = await idOf("Chassis", "name=host2")
  await asTwo("set", "Chassis", own, "other_config:ovn-bridge-mappings=public:br-ex")
  await asTwo(
    "set",
    "Chassis",
    own,
    "other_config:is-interconn=true",
    "external_ids:ovn-cms-options=enable-chassis-as-gw",
  )
  await eventually("the floating IP on the first host", () => one.pings(floatingAddress))
  assert.equal(await two.pings(floatingAddress), false)
})

test("the address of its tunnels is the cloud's word: another one is set right, and no host is kept out by it", async () => {
  const own = await idOf("Encap", "chassis_name=host2")
  assert.match(await asTwo("set", "Encap", own, `ip=${one.address}`), /constraint violation|Constraint/i)
  // ovn-controller writes what is in its own switch's database: there whoever has the host writes what he likes.
  const say = async (ip: string) => {
    const set = ["set", "Open_vSwitch", ".", `external_ids:ovn-encap-ip=${ip}`]
    await two.run("ovs-vsctl", [`--db=unix:${two.paths.switchSocket}`, "--no-wait", ...set])
  }
  await asTwo("set", "Encap", own, "ip=10.77.0.3")
  await eventually("its own controller to set it right", async () =>
    (await encapsOf("host2")).includes(two.address),
  )
  await say("10.77.0.3")
  await eventually("the lie", async () => (await encapsOf("host2")).includes("10.77.0.3"))
  await two.do("pauseController")
  const said = { host: "host2", said: "10.77.0.3", own: two.address }
  assert.deepEqual(await corrected(), [said])
  assert.match(await encapsOf("host2"), new RegExp(two.address))
  assert.deepEqual((await compare()).addresses, [])
  // A second tunnel of another kind, with the address of the first host.
  const encap = { type: "vxlan", ip: one.address, chassis_name: "host2" }
  const mutations = [["encaps", "insert", ["named-uuid", "second"]]]
  const where = [["name", "==", "host2"]]
  const added = await transact(
    { op: "insert", table: "Encap", row: encap, "uuid-name": "second" },
    { op: "mutate", table: "Chassis", where, mutations },
  )
  assert.doesNotMatch(added, /error/, "OVN lets it")
  assert.deepEqual(await corrected(), [{ host: "host2", said: one.address, own: two.address }])
  assert.doesNotMatch(await encapsOf("host2"), /vxlan/)
  await say(two.address)
  await two.do("resumeController")
  await eventually("the guest", () => b.pings("10.0.1.10"))
})
