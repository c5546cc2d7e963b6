// Started by ovn-story.test.ts within a network namespace of its own: limits of QoS policies, measured.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { join } from "node:path"
import { after, before, type TestContext, test } from "node:test"
import { enterNetns, netnsDir } from "../../agent/ports/netns.ts"
import type { NetworkWant, WantQos } from "../../network/driver/network-driver.ts"
import { floatingAddress, ports, sampleWant } from "../../network/driver/testing/sample-want.ts"
import { tellAll } from "../../network/driver/testing/tell-all.ts"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { allUp, Guest, hostPings, startWorld, type World } from "./ovn-story-world.ts"

let world: World
let a: Guest
let closed: Guest
const limit = { maxKbps: 2_000, maxBurstKbits: 400 }
const none: WantQos = { egress: null, ingress: null, dscpMark: null }
/** Of one measurement; at the limit it takes two seconds at the least, on any machine. */
const bytes = 512 * 1024
const atLeastMs = ((bytes * 8) / 1000 - limit.maxBurstKbits) / (limit.maxKbps / 1000)
const tcpPort = 80
const outside = "172.24.4.1"

/** Answers with a byte for all bytes that came; says its first line when it listens. */
const receiver = `require("node:net").createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {}).resume().on("end", () => socket.end("."))
}).listen(${tcpPort}, "0.0.0.0", () => console.log("ready"))`
/** Says how long it took until all had come. */
const sender = (
  address: string,
) => `const socket = require("node:net").connect(${tcpPort}, "${address}", () => {
  const begun = performance.now()
  socket.on("data", () => { console.log(performance.now() - begun); process.exit() })
  socket.end(Buffer.alloc(${bytes}))
}).setTimeout(60_000, () => process.exit(1))`

const receivers: { end: () => Promise<void> }[] = []

/** In the guest's network, or where the test runs. */
async function receive(guest?: Guest): Promise<void> {
  const [program = "", ...args] = inNetworkOf(guest, ["-e", receiver])
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()))
  receivers.push({
    end: async () => {
      child.kill("SIGKILL")
      await gone
    },
  })
  await new Promise((resolve) => child.stdout.once("data", resolve))
}

async function send(address: string, guest?: Guest): Promise<number> {
  const [program = "", ...args] = inNetworkOf(guest, ["-e", sender(address)])
  return Number((await exec(program, args, { timeoutMs: 90_000 })).stdout)
}

function inNetworkOf(guest: Guest | undefined, args: readonly string[]): string[] {
  return [...(guest ? enterNetns(join(netnsDir, guest.netns)) : []), process.execPath, ...args]
}

interface Limits {
  a?: WantQos
  closed?: WantQos
  gateway?: WantQos
  floatingIp?: WantQos
}

/** Both guests on one network, and open to each other and the outside. */
function wantWith(limits: Limits): NetworkWant {
  const want = structuredClone(sampleWant)
  for (const port of want.ports) {
    if (port.id === ports.a.id) port.qos = limits.a ?? null
    if (port.id !== ports.closed.id) continue
    port.securityGroupIds = ports.a.securityGroupIds
    port.qos = limits.closed ?? null
  }
  for (const { gateway } of want.routers) if (gateway) gateway.qos = limits.gateway ?? null
  for (const floatingIp of want.floatingIps) floatingIp.qos = limits.floatingIp ?? null
  return want
}

before(async () => {
  world = await startWorld()
  const want = wantWith({})
  await tellAll(world.driver, want)
  a = await Guest.start(world, ports.a)
  closed = await Guest.start(world, ports.closed)
  const there = want.ports.filter(({ id }) => id === ports.a.id || id === ports.closed.id)
  await allUp(world, { ...want, ports: there })
  for (const guest of [a, closed]) await guest.lease()
  for (const guest of [a, closed, undefined]) await receive(guest)
  await eventually("the floating IP to answer", () => hostPings(floatingAddress))
})

after(async () => {
  for (const each of receivers) await each.end()
  await a?.end()
  await closed?.end()
  await world?.end()
})

/** Tries until the host has the limit, and before that until it has none. */
async function measure(
  t: TestContext,
  what: string,
  limits: Limits,
  run: () => Promise<number>,
): Promise<void> {
  await tellAll(world.driver, wantWith({}))
  const free = await eventually(`${what}: unlimited`, async () => {
    const tookMs = await run()
    return tookMs < atLeastMs && tookMs
  })
  await tellAll(world.driver, wantWith(limits))
  const limited = await eventually(`${what}: limited`, async () => {
    const tookMs = await run()
    return tookMs >= atLeastMs && tookMs
  })
  t.diagnostic(
    `${what}: ${Math.round(free)} ms free, ${Math.round(limited)} ms limited, ${atLeastMs} ms at the least`,
  )
}

const egress = { ...none, egress: limit }
const ingress = { ...none, ingress: limit }
const between = () => send("10.0.1.11", a)

test("what a port sends is limited, and only that", async (t) => {
  await measure(t, "egress", { a: egress }, between)
  await measure(t, "ingress of a receiver", { closed: ingress }, between)
  await tellAll(world.driver, wantWith({ a: ingress, closed: egress }))
  await eventually("the other direction is free", async () => (await between()) < atLeastMs)
})

test("a floating IP and a router's gateway are limited, each for itself", async (t) => {
  await measure(t, "floating IP, ingress", { floatingIp: ingress }, () => send(floatingAddress))
  await measure(t, "floating IP, egress", { floatingIp: egress }, () => send(outside, a))
  await measure(t, "gateway, egress", { gateway: egress }, () => send(outside, closed))
  const wide = { ...none, egress: { maxKbps: 1_000_000, maxBurstKbits: null } }
  await tellAll(world.driver, wantWith({ gateway: egress, floatingIp: wide }))
  await eventually("the floating IP's own counts", async () => (await send(outside, a)) < atLeastMs)
})

test("what a port sends bears its mark", async () => {
  const rules =
    "add table ip m; add chain ip m in { type filter hook input priority 0; }; add rule ip m in ip saddr 10.0.1.10 ip dscp 46 counter"
  await closed.run("nft", [rules])
  const counted = async () =>
    /counter packets [1-9]/.test((await closed.run("nft", ["list", "chain", "ip", "m", "in"])).stdout)
  assert.ok(await a.pings("10.0.1.11"))
  assert.equal(await counted(), false)
  await tellAll(world.driver, wantWith({ a: { ...egress, dscpMark: 46 } }))
  await eventually("a marked packet", async () => (await a.pings("10.0.1.11")) && (await counted()))
})

test("limits are there again after kill -9 of the switch and the controller", async () => {
  await tellAll(world.driver, wantWith({ a: egress }))
  for (const name of ["ovs-vswitchd", "ovn-controller"]) {
    const pid = world.supervisor.status().find((engine) => engine.name === name)?.pid
    assert.ok(pid)
    process.kill(pid, "SIGKILL")
    await eventually("the supervisor to start it anew", () => {
      const engine = world.supervisor.status().find((each) => each.name === name)
      return engine?.state === "running" && engine.pid !== pid
    })
    await eventually("the neighbour to answer", () => a.pings("10.0.1.11"))
    await eventually(`the limit after ${name}`, async () => (await between()) >= atLeastMs)
  }
})
