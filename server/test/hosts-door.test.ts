// What the door for hosts on other machines refuses: addresses, connections, words and answers that are not a host's.
import assert from "node:assert/strict"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { type AddressInfo, connect as connectTcp, createServer } from "node:net"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { connect as connectTls } from "node:tls"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { agentReportTopic } from "../src/agent/protocol.ts"
import { selectHostFacts } from "../src/compute/index.ts"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { type DoorOptions, type HostDoor, openHostDoor } from "../src/host/index.ts"
import { askToJoin } from "../src/launch/joined/door-client.ts"
import { memberFiles } from "../src/launch/joined/membership.ts"
import { makeAuthority, makeCertificate, makeKey, makeRequest } from "../src/platform/authority/authority.ts"
import { PeerBus } from "../src/platform/bus/peer-bus.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { Fault, type FaultKind } from "../src/platform/fault/fault.ts"
import { AwaitedStreams } from "../src/platform/streams/awaited-streams.ts"
import type { TestCloud } from "./cloud.ts"
import { freePort } from "./free-port.ts"
import { anyHost, HostsCloud } from "./hosts-cloud.ts"

let at: HostsCloud
let cloud: TestCloud
let scratch: string

before(async () => {
  at = await HostsCloud.start()
  ;({ cloud, scratch } = at)
})
after(async () => await at?.[Symbol.asyncDispose]())

const hosts = () => at.hosts
const joinAs: HostsCloud["joinAs"] = (name, token) => at.joinAs(name, token)
const clientOf: HostsCloud["clientOf"] = (member) => at.clientOf(member)

/** One beside the cloud's own, for hosts of the same. */
async function openDoor(
  how: Partial<DoorOptions>,
): Promise<AsyncDisposable & { opened: HostDoor; url: string }> {
  const listen = { host: "127.0.0.1", port: await freePort() }
  const opened = await openHostDoor(cloud.cloud.platform, {
    ...{ listen, ownAddress: listen.host, answers: {}, streams: new AwaitedStreams(), southbound: null },
    ...{ isTaken: async () => false, onLost: async () => {} },
    ...how,
  })
  const url = `https://${listen.host}:${listen.port}`
  return { opened, url, [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose]() }
}

test("a host whose clock is wrong does not join, and its token is still good", async () => {
  const { url, token } = await hosts().token(anyHost)
  const key = join(scratch, "clock.key")
  await makeKey(key)
  const ask = { name: "host40", address: "127.0.0.1", token, request: await makeRequest(key) }
  const hourAgo = new Date(Date.now() - 3_600_000)
  await assert.rejects(askToJoin(new URL(url), { ...ask, at: hourAgo }), {
    code: "host.clock.wrong",
    message: /60 minutes behind the cloud's/,
  })
  await askToJoin(new URL(url), ask)
})

describe("a host's address", () => {
  /** As a host that says whatever it likes. */
  async function askFrom(name: string, address: string, how: { at?: string; door?: string } = {}) {
    const { url, token } = await hosts().token({ ...anyHost, address: how.at ?? null })
    const key = join(scratch, `${name}-address.key`)
    await makeKey(key)
    return await askToJoin(new URL(how.door ?? url), {
      ...{ name, address, token },
      request: await makeRequest(key),
    })
  }

  test("is the one that it comes from, or the one that its token says", async () => {
    await assert.rejects(askFrom("host21", "10.9.0.1"), {
      code: "host.address.unseen",
      message: /`address`.*10\.9\.0\.1.*127\.0\.0\.1.*token --address 10\.9\.0\.1/,
    })
    await assert.rejects(askFrom("host21", "127.0.0.1", { at: "10.9.0.1" }), {
      code: "host.address.other",
      message: /`address`.*--address 10\.9\.0\.1/,
    })
    await assert.rejects(askFrom("host21", "10.9.0", {}), {
      code: "host.door.bad_request",
      message: /`address`/,
    })
    await askFrom("host21", "::ffff:10.9.0.1", { at: "10.9.0.1" })
    const member = (await hosts().members()).find(({ name }) => name === "host21")
    assert.equal(member?.address, "10.9.0.1")
  })

  test("is none that only one machine or nobody is reached at: there is no token for that", async () => {
    const local = { code: "host.address.local", message: /--address/ }
    const none = [
      "127.0.0.2",
      "0.0.0.0",
      "169.254.7.7",
      "224.0.0.1",
      "255.255.255.255",
      "::1",
      "::",
      "fe80::7",
      "ff02::1",
    ]
    for (const address of none) await assert.rejects(hosts().token({ ...anyHost, address }), local, address)
    await hosts().token({ ...anyHost, address: "192.0.2.7" })
  })

  test("is its own as long as it is a member, and never the cloud's first host's", async () => {
    const taken = { code: "host.address.taken", message: /`address`/ }
    const at = "10.9.0.2"
    const both = await Promise.allSettled(["host22", "host23"].map((name) => askFrom(name, at, { at })))
    const [lost] = both.filter((each) => each.status === "rejected")
    assert.equal(lost?.reason.code, taken.code)
    const [winner] = (await hosts().members()).filter(({ address }) => address === at)
    assert.ok(winner)
    await hosts().remove(winner.name)
    await askFrom("host24", at, { at })
    await using door = await openDoor({ ownAddress: "10.9.0.3" })
    await assert.rejects(askFrom("host25", "10.9.0.3", { at: "10.9.0.3", door: door.url }), taken)
  })

  test("is of IPv4 where the network reaches over hosts", async () => {
    const refused = { code: "host.address.not_ipv4", message: /`address`.*IPv4/ }
    await using door = await openDoor({ southbound: async () => assert.fail("nobody asks") })
    await assert.rejects(askFrom("host26", "fd00::1", { at: "fd00::1", door: door.url }), refused)
    await askFrom("host26", "fd00::1", { at: "fd00::1" })
  })
})

describe("the network's database", () => {
  test("is reached through the door by members alone, and a removal cuts off at once", async (t) => {
    const database = createServer((socket) => socket.pipe(socket)).listen(0, "127.0.0.1")
    t.after(() => database.close())
    await once(database, "listening")
    const { port } = database.address() as AddressInfo
    await using door = await openDoor({ southbound: async () => connectTcp({ host: "127.0.0.1", port }) })
    const member = { ...(await joinAs("host19")), door: door.url }
    using client = clientOf(member)
    const reach = async () => {
      const socket = await client.openSouthbound()
      socket.write("said")
      const [heard] = await once(socket, "data")
      assert.equal(String(heard), "said")
      return socket
    }
    const first = await reach()
    const second = await reach()
    await eventually("the first one to end", () => first.resume().destroyed)
    await door.opened.remove("host19")
    await eventually("the second one to end", () => second.resume().destroyed)
    await assert.rejects(client.openSouthbound(), { code: "host.member.unknown" })
    // Where the network is simulated there is none.
    using elsewhere = clientOf(await joinAs("host20"))
    await assert.rejects(elsewhere.openSouthbound(), { code: "host.door.not_found" })
  })
})

describe("whoever is at the door", () => {
  test("without a certificate, or with one of another authority, is refused", async () => {
    const { door } = await joinAs("host10")
    const url = `${door}/v1/settings`
    const { request } = await import("node:https")
    const statusWith = async (more: object) =>
      await new Promise<number | undefined>((resolve, reject) => {
        const sent = request(url, { rejectUnauthorized: false, agent: false, ...more }, (response) => {
          response.resume()
          resolve(response.statusCode)
        })
        sent.once("error", reject).end()
      })
    assert.equal(await statusWith({}), 403)
    const files = (name: string) => ({
      certFile: join(scratch, `${name}.pem`),
      keyFile: join(scratch, `${name}.key`),
    })
    await makeAuthority(files("ca"), "Kumoi hosts")
    await makeCertificate(files("fake"), files("ca"), {
      commonName: "host10",
      names: [],
      usages: ["clientAuth"],
      days: 1,
    })
    const { certFile, keyFile } = files("fake")
    assert.equal(await statusWith({ cert: readFileSync(certFile), key: readFileSync(keyFile) }), 403)
  })

  test("holds no connection for long, be it refused or silent", async () => {
    const { door } = await joinAs("host17")
    const port = Number(new URL(door).port)
    let closed = 0
    const knock = (said: string) => {
      // Ends nothing by itself, and goes on writing: so it hears of the connection's end.
      const socket = connectTls({
        socket: connectTcp({ host: "127.0.0.1", port, allowHalfOpen: true }),
        rejectUnauthorized: false,
      })
      const more = setInterval(() => socket.write(" "), 100)
      socket.on("error", () => {})
      socket.once("close", () => {
        clearInterval(more)
        closed++
      })
      socket.resume().write(said)
      return socket
    }
    const upgrade = "GET /v1/bus HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: kumoi-bus\r\n\r\n"
    const refused = Array.from({ length: 20 }, () => knock(upgrade))
    await eventually("the refused to be gone", () => closed === 20)
    closed = 0
    const silent = Array.from({ length: 600 }, () => knock("GET /"))
    await eventually("the silent to be few", () => closed >= 80)
    // Meanwhile a host comes in.
    await joinAs("host18")
    for (const socket of [...refused, ...silent]) socket.destroy()
  })

  test("speaks for itself and for no other host", async () => {
    const member = await joinAs("host11")
    using client = clientOf(member)
    const told = ["doors", "hypervisor", "network", "region"]
    assert.deepEqual(Object.keys(await client.settings()).sort(), told)
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {})
    const refused = { code: "host.member.may_not" }
    await assert.rejects(
      bus.serve("agent.host1", async () => 1),
      refused,
    )
    await assert.rejects(
      bus.subscribe(agentReportTopic, () => {}),
      refused,
    )
    await assert.rejects(bus.call("agent.host1", "vm.list", {}, { timeoutMs: 240_000 }), refused)
    await assert.rejects(bus.cast("agent.host1", "vm.list", {}), refused)
    await assert.rejects(bus.publish("notifications.info", {}), refused)
    const at = new Date().toISOString()
    const serverId = "00000000-0000-4000-8000-000000000001"
    const state = { power: "crashed", since: at }
    const report = { kind: "vm", host: "host11", serverId, state, at }
    await bus.publish(agentReportTopic, report)
    await assert.rejects(bus.publish(agentReportTopic, { ...report, host: "host1" }), refused)
    await assert.rejects(bus.publish(agentReportTopic, { ...report, serverId: "x" }), refused)
    await assert.rejects(bus.publish(agentReportTopic, { ...report, state: { power: "sings" } }), refused)
    await assert.rejects(bus.publish(agentReportTopic, "hello"), refused)
    await bus[Symbol.asyncDispose]()
  })

  test("reports what a host is, in bounds", async () => {
    const member = await joinAs("host16")
    using client = clientOf(member)
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {})
    await using hypervisor = new FakeHypervisor({
      host: "host16",
      hostIp: member.address,
      dir: join(scratch, "host16/fake"),
      clock: systemClock,
      capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
    })
    const described = await hypervisor.describe()
    const abilities = { ...described.abilities, metadata: false }
    const description = { ...described, host: "host16", abilities }
    const report = (over: object, beside: object = {}) =>
      bus.publish(agentReportTopic, {
        kind: "alive",
        host: "host16",
        at: new Date().toISOString(),
        description: { ...description, ...over },
        ...beside,
      })
    const refused = { code: "host.member.may_not" }
    for (const over of [
      { abilities: { ...abilities, metadata: "perhaps" } },
      { abilities: { ...abilities, accelerator: "<b>" } },
      { vcpus: 2 ** 31 },
      { ramMib: Number.MAX_SAFE_INTEGER },
      { hostIp: "<script>" },
      { hostIp: "10.9.0.9" },
      { hypervisorVersion: 2 ** 31 },
    ]) {
      await assert.rejects(report(over), refused, JSON.stringify(over))
    }
    const pool = {
      ...{ backend: "file", totalBytes: 2, freeBytes: 1 },
      abilities: { thinProvisioning: true, onlineExtend: true, shared: false },
    }
    for (const pools of [[{ ...pool, freeBytes: -1 }], [{ ...pool, backend: 7 }], Array(65).fill(pool)]) {
      await assert.rejects(report({}, { pools }), refused, JSON.stringify(pools).slice(0, 100))
    }
    await report({}, { pools: [pool] })
    // A host that is newer than its cloud says more; that is not kept.
    await report({ secret: "x".repeat(1_000), abilities: { ...abilities, flies: true } })
    const { platform } = cloud.cloud
    const kept = await eventually("the host's row", async () => {
      const found = await selectHostFacts(platform, { filters: { name: ["host16"] } })
      return found[0]?.host.description
    })
    assert.deepEqual(kept, description)
    const { keyFile } = memberFiles(join(scratch, "host16"))
    const request = await makeRequest(keyFile)
    const renewals = await Promise.allSettled(Array.from({ length: 4 }, () => client.renew(request)))
    const codes = renewals.map((each) => (each.status === "rejected" ? each.reason.code : "renewed"))
    // One at a time: on a busy machine one may begin when another has ended.
    assert.ok(codes.includes("renewed"))
    assert.deepEqual(
      codes.filter((code) => code !== "renewed" && code !== "host.member.too_often"),
      [],
    )
    await bus[Symbol.asyncDispose]()
  })

  test("answers commands in their shape, in bounds, or has not answered", async () => {
    const member = await joinAs("host27")
    using client = clientOf(member)
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {})
    const { platform } = cloud.cloud
    let answer: unknown
    await bus.serve("agent.host27", async () => {
      if (answer instanceof Error) throw answer
      return answer
    })
    const state = { power: "running", since: new Date().toISOString() }
    const serverId = "00000000-0000-4000-8000-000000000001"
    const ask = async <M extends "vm.inspect" | "vm.list" | "vm.console_log">(method: M, said: unknown) => {
      answer = said
      // What is asked is nothing to the host, which answers what it likes.
      return await sendToAgent(platform, "host27", method, {} as never, { timeoutMs: 240_000 })
    }
    const unusable = (why: RegExp) => ({ kind: "unavailable", code: "bus.answer_wrong", message: why })
    for (const [said, why] of [
      [{ ...state, power: "<b>" }, /host27 to vm\.inspect .*`power`.*enum/],
      [{ ...state, reason: "x".repeat(10_001) }, /`reason`.*maxLength/],
      [{ power: "running" }, /`since`/],
      [[state], /`body`/],
      [null, /`body`/],
    ] as const)
      await assert.rejects(ask("vm.inspect", said), unusable(why))
    await assert.rejects(ask("vm.list", [{ serverId: "../x", state }]), unusable(/`0\.serverId`/))
    await assert.rejects(ask("vm.console_log", { output: "x".repeat(2 ** 24 + 1) }), unusable(/`output`/))
    // A host that is newer than its cloud says more; that is not kept.
    assert.deepEqual(await ask("vm.list", [{ serverId, state: { ...state, flies: true }, more: 1 }]), [
      { serverId, state },
    ])
    const fault = (kind: string) => new Fault(kind as FaultKind, "agent.machine.not_found", "It is gone.")
    await assert.rejects(ask("vm.inspect", fault("not_found")), { kind: "not_found", message: "It is gone." })
    await assert.rejects(ask("vm.inspect", fault("nonsense")), unusable(/no fault/))
    await bus[Symbol.asyncDispose]()
  })

  test("of two connections of one host the later one counts", async () => {
    const member = await joinAs("host12")
    using client = clientOf(member)
    let isLost = false
    const first = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {
      onLost: () => {
        isLost = true
      },
    })
    await first.serve("agent.host12", async () => "first")
    const second = new PeerBus(await client.openBus(AbortSignal.timeout(240_000)), {})
    await eventually("the first one to end", () => isLost)
    await second.serve("agent.host12", async () => "second")
    const { bus } = cloud.cloud.platform
    assert.equal(await bus.call("agent.host12", "m", {}, { timeoutMs: 240_000 }), "second")
    await second[Symbol.asyncDispose]()
  })
})
