// Hosts on other machines: they join at the door, serve and report through it, and are refused when they may not.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { type AddressInfo, connect as connectTcp, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { connect as connectTls } from "node:tls"
import { promisify } from "node:util"
import { FakeHypervisor } from "../src/agent/hypervisor/fake/fake.ts"
import { FakePlugger } from "../src/agent/ports/fake-plugger.ts"
import { agentReportTopic } from "../src/agent/protocol.ts"
import { imageTicket } from "../src/compute/image-ticket.ts"
import { imageTicketRefused, selectHostFacts } from "../src/compute/index.ts"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { type DoorOptions, HostDoor } from "../src/host/index.ts"
import { askToJoin, DoorClient } from "../src/launch/joined/door-client.ts"
import { doorImageStore } from "../src/launch/joined/door-image-store.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import { type MemberAgent, startMemberAgent } from "../src/launch/joined/member-agent.ts"
import { type Membership, memberFiles } from "../src/launch/joined/membership.ts"
import { makeAuthority, makeCertificate, makeKey, makeRequest } from "../src/platform/authority/authority.ts"
import { PeerBus } from "../src/platform/bus/peer-bus.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
import { Fault, type FaultKind } from "../src/platform/fault/fault.ts"
import { silentLogger } from "../src/platform/log/log.ts"
import { AwaitedStreams } from "../src/platform/streams/awaited-streams.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"
import { freePort } from "./free-port.ts"

let cloud: TestCloud
let scratch: string
const anyHost = { hostName: null, address: null, lastsMs: 3_600_000 }

before(async () => {
  scratch = mkdtempSync(join(tmpdir(), "kumoi-hosts-"))
  cloud = await startTestCloud({ overrides: { "hosts.port": await freePort() } })
})
after(async () => {
  await cloud?.[Symbol.asyncDispose]()
  rmSync(scratch, { recursive: true, force: true })
})

function hosts() {
  const found = cloud.cloud.hosts
  assert.ok(found)
  return found
}

async function joinAs(name: string, token?: { url: string; token: string }): Promise<Membership> {
  const line = token ?? (await hosts().token(anyHost))
  return await joinCloud({ dataDir: join(scratch, name), ...line, name, address: null })
}

const clientOf = ({ door, name }: Membership) => new DoorClient({ door, dataDir: join(scratch, name) })

async function startHost(
  name: string,
): Promise<{ membership: Membership; agent: MemberAgent; hypervisor: FakeHypervisor }> {
  const membership = await joinAs(name)
  const dataDir = join(scratch, name)
  const hypervisor = new FakeHypervisor({
    host: name,
    hostIp: membership.address,
    dir: join(dataDir, "agent/fake"),
    clock: systemClock,
    capacity: { vcpus: 8, ramMib: 16_384, diskGib: 100 },
  })
  const agent = await startMemberAgent({
    membership,
    dataDir,
    client: clientOf(membership),
    parts: { hypervisor, ports: new FakePlugger(), metadata: null, usesImages: false },
    log: silentLogger,
    clock: systemClock,
  })
  return { membership, agent, hypervisor }
}

/** One beside the cloud's own, for hosts of the same. */
async function openDoor(
  how: Partial<DoorOptions>,
): Promise<AsyncDisposable & { opened: HostDoor; url: string }> {
  const listen = { host: "127.0.0.1", port: await freePort() }
  const opened = await HostDoor.open(cloud.cloud.platform, {
    ...{ listen, ownAddress: listen.host, answers: {}, streams: new AwaitedStreams(), southbound: null },
    ...{ isTaken: async () => false, onLost: async () => {} },
    ...how,
  })
  const url = `https://${listen.host}:${listen.port}`
  return { opened, url, [Symbol.asyncDispose]: async () => await opened[Symbol.asyncDispose]() }
}

async function serviceOf(name: string): Promise<{ state: string } | undefined> {
  const token = await cloud.token()
  const { body } = await cloud.request("GET", `/compute/v2.1/os-services?host=${name}`, { token })
  return body.services[0]
}

async function createServerOn(host: string): Promise<string> {
  const token = await cloud.token()
  const { body, status } = await cloud.request("POST", "/compute/v2.1/servers", {
    token,
    headers: { "x-openstack-nova-api-version": "2.74" },
    body: { server: { name: "far", flavorRef: "1", imageRef: await imageId(), networks: "none", host } },
  })
  assert.equal(status, 202, JSON.stringify(body))
  return body.server.id
}

let image: string | undefined
async function imageId(): Promise<string> {
  if (image !== undefined) return image
  const token = await cloud.token()
  const made = await cloud.request("POST", "/image/v2/images", {
    token,
    body: { name: "small", disk_format: "raw", container_format: "bare" },
  })
  await cloud.request("PUT", `/image/v2/images/${made.body.id}/file`, {
    token,
    headers: { "content-type": "application/octet-stream" },
    body: "x".repeat(1024),
  })
  image = String(made.body.id)
  return image
}

async function serverOf(id: string): Promise<Record<string, unknown>> {
  const token = await cloud.token()
  return (await cloud.request("GET", `/compute/v2.1/servers/${id}`, { token })).body.server
}

describe("a host that joined", () => {
  test("runs servers and hands over their disks, and is down soon after it is lost", async () => {
    const { agent, hypervisor, membership } = await startHost("host2")
    await eventually("the host to be up", async () => (await serviceOf("host2"))?.state === "up")
    const id = await createServerOn("host2")
    const server = await eventually("the server", async () => {
      const found = await serverOf(id)
      return found.status === "ACTIVE" && found
    })
    assert.equal(server["OS-EXT-SRV-ATTR:host"], "host2")
    assert.equal((await hypervisor.inspect({ serverId: id, driver: "fake" })).power, "running")
    // Its disk becomes an image, which is read from any byte on by whoever has a ticket for it.
    const token = await cloud.token()
    const asked = await cloud.request("POST", `/compute/v2.1/servers/${id}/action`, {
      token,
      headers: { "x-openstack-nova-api-version": "2.45" },
      body: { createImage: { name: "frozen" } },
    })
    const snapshot = String(asked.body.image_id)
    const image = await eventually("the image", async () => {
      const { body } = await cloud.request("GET", `/image/v2/images/${snapshot}`, { token })
      return body.status === "active" && body
    })
    using client = clientOf(membership)
    const store = doorImageStore(client)
    const { platform } = cloud.cloud
    const right = { host: "host2", imageId: snapshot, verb: "read" } as const
    const read = async (offset: number) => {
      const opened = await store.open(snapshot, imageTicket(platform, right, 60_000), { offset })
      assert.ok("stream" in opened && opened.sizeBytes === image.size)
      return Buffer.concat(await opened.stream.toArray())
    }
    const whole = await read(0)
    assert.equal(createHash("md5").update(whole).digest("hex"), image.checksum)
    assert.deepEqual(await read(image.size - 3), whole.subarray(-3))
    const other = imageTicket(platform, { ...right, host: "host1" }, 60_000)
    await assert.rejects(store.open(snapshot, other, { offset: 0 }), imageTicketRefused.is)
    await assert.rejects(store.open(snapshot, "no ticket", { offset: 0 }), imageTicketRefused.is)
    await assert.rejects(store.open("x", other, { offset: 0 }), { code: "host.door.bad_request" })
    // Gone for a while: its row says so within seconds, and the server is as it was.
    await agent.stop({ guests: "leave", graceMs: 0 })
    await eventually("the host to be down", async () => (await serviceOf("host2"))?.state === "down")
    assert.equal((await serverOf(id)).status, "ACTIVE")
  })

  test("is no member any more after it was removed, and its servers keep it from that", async () => {
    const { membership, agent } = await startHost("host3")
    await eventually("the host to be up", async () => (await serviceOf("host3"))?.state === "up")
    const id = await createServerOn("host3")
    await eventually("the server", async () => (await serverOf(id)).status === "ACTIVE")
    await assert.rejects(hosts().remove("host3"), { code: "compute.host.has_servers" })
    assert.equal((await serviceOf("host3"))?.state, "up")
    await cloud.request("DELETE", `/compute/v2.1/servers/${id}`, { token: await cloud.token() })
    await eventually("the server to be gone", async () => (await serverOf(id)) === undefined)
    await hosts().remove("host3")
    await eventually("the link to end", () => !agent.link().isConnected)
    await assert.rejects(clientOf(membership).settings(), { code: "host.member.unknown" })
    assert.equal(await serviceOf("host3"), undefined)
    await agent.stop({ guests: "leave", graceMs: 0 })
    await assert.rejects(hosts().remove("host3"), { code: "host.member.not_found" })
    // Its next start ends at once, and says to whoever watches it that another one would as well.
    const up = [join(import.meta.dirname, "../src/cli.ts"), "up", "--data", join(scratch, "host3")]
    const started = await promisify(execFile)(process.execPath, up, { timeout: 60_000 }).catch(
      (error) => error,
    )
    assert.equal(started.code, 78)
    assert.match(started.stderr, /host3 .* was removed .*down --purge/)
    // The name is free again.
    rmSync(join(scratch, "host3"), { recursive: true })
    await joinAs("host3")
  })
})

describe("a token", () => {
  test("lets one host in, once; that one may ask again", async () => {
    const token = await hosts().token(anyHost)
    const first = await joinAs("host4", token)
    // The answer was lost: the host has its key and no facts.
    rmSync(join(scratch, "host4", "host.json"))
    assert.equal((await joinAs("host4", token)).id, first.id)
    await assert.rejects(joinAs("host5", token), { code: "host.token.unusable" })
    await assert.rejects(joinAs("host4", token), { code: "cli.join.joined" })
  })

  test("that was used lets its host in under no other name, nor again once that was removed", async () => {
    const token = await hosts().token(anyHost)
    await joinAs("host13", token)
    const dataDir = join(scratch, "host13")
    const again = async (name: string) => {
      rmSync(join(dataDir, "host.json"))
      const before = readFileSync(join(dataDir, "member/host.pem"))
      try {
        await joinCloud({ dataDir, ...token, name, address: null })
      } finally {
        writeFileSync(join(dataDir, "host.json"), "{}")
        writeFileSync(join(dataDir, "member/host.pem"), before)
      }
    }
    await assert.rejects(again("host14"), { code: "host.token.unusable" })
    await again("host13")
    await hosts().remove("host13")
    await assert.rejects(again("host13"), { code: "host.token.unusable" })
  })

  test("of two hosts that join under one name at once lets one in", async () => {
    const tokens = await Promise.all([1, 2, 3].map(() => hosts().token(anyHost)))
    const joined = await Promise.allSettled(
      tokens.map((token, at) =>
        joinCloud({ dataDir: join(scratch, `host15-${at}`), ...token, name: "host15", address: null }),
      ),
    )
    const codes = joined.map((each) => (each.status === "rejected" ? each.reason.code : "joined"))
    assert.deepEqual(codes.sort(), ["host.name.taken", "host.name.taken", "joined"])
  })

  test("that is over, wrong, cut short, another host's or another cloud's lets nobody in", async () => {
    const over = await hosts().token({ ...anyHost, lastsMs: -1 })
    await assert.rejects(joinAs("host6", over), { code: "host.token.unusable" })
    const good = await hosts().token({ ...anyHost, hostName: "host7" })
    await assert.rejects(joinAs("host6", good), { code: "host.name.other", message: /host7/ })
    const [secret = "", fingerprint = ""] = good.token.split(".")
    const other = { ...good, token: `${secret}.${Buffer.alloc(32).toString("base64url")}` }
    await assert.rejects(joinAs("host7", other), { code: "cli.join.wrong_cloud" })
    const wrong = { ...good, token: `${"a".repeat(43)}.${fingerprint}` }
    await assert.rejects(joinAs("host7", wrong), { code: "host.token.unusable" })
    await assert.rejects(joinAs("host7", { ...good, token: secret }), { code: "cli.option.invalid" })
    await assert.rejects(joinAs("host7", { ...good, url: "http://127.0.0.1" }), {
      code: "cli.option.invalid",
    })
    const closed = { ...good, url: `https://127.0.0.1:${await freePort()}` }
    await assert.rejects(joinAs("host7", closed), { code: "cli.join.unreachable" })
    // None of that has used it.
    await joinAs("host7", good)
  })

  test("lets no second host of a name in, nor one of the cloud's first host's", async () => {
    await joinAs("host8")
    const dataDir = join(scratch, "host8-again")
    const again = await hosts().token(anyHost)
    const how = { dataDir, ...again, address: null }
    await assert.rejects(joinCloud({ ...how, name: "host8" }), { code: "host.name.taken" })
    await assert.rejects(joinCloud({ ...how, name: "host1" }), { code: "host.name.taken" })
    for (const name of ["No Name", "Host2", "h\u00f6st", "", "a".repeat(65)]) {
      const refused = { code: "cli.option.invalid", message: /small letters/ }
      await assert.rejects(joinCloud({ ...how, dataDir: join(scratch, "misnamed"), name }), refused)
    }
    const elsewhere = { ...how, dataDir: join(scratch, "misnamed"), name: "host9", address: "192.0.2.1" }
    await assert.rejects(joinCloud(elsewhere), { code: "cli.option.invalid", message: /of this machine/ })
    // Nothing was made of it.
    assert.ok(!existsSync(join(scratch, "misnamed")))
    // A refusal has not used the token; the key that a full disk left empty is made anew.
    writeFileSync(memberFiles(dataDir).keyFile, "")
    await joinCloud({ ...how, name: "host9" })
    await assert.rejects(hosts().remove("host1"), { code: "host.member.not_joined" })
  })
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
    assert.deepEqual(Object.keys(await client.settings()).sort(), ["hypervisor", "network", "region"])
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(10_000)), {})
    const refused = { code: "host.member.may_not" }
    await assert.rejects(
      bus.serve("agent.host1", async () => 1),
      refused,
    )
    await assert.rejects(
      bus.subscribe(agentReportTopic, () => {}),
      refused,
    )
    await assert.rejects(bus.call("agent.host1", "vm.list", {}, { timeoutMs: 1_000 }), refused)
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

  test("reports what a host is, in bounds, and not too often", async () => {
    const member = await joinAs("host16")
    using client = clientOf(member)
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(10_000)), {})
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
    const report = (over: object) =>
      bus.publish(agentReportTopic, {
        kind: "alive",
        host: "host16",
        at: new Date().toISOString(),
        description: { ...description, ...over },
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
    const flood = await Promise.allSettled(Array.from({ length: 2_000 }, () => report({})))
    assert.ok(
      flood.some((each) => each.status === "rejected" && each.reason.code === "host.member.too_often"),
    )
    await bus[Symbol.asyncDispose]()
  })

  test("answers commands in their shape, in bounds, or has not answered", async () => {
    const member = await joinAs("host27")
    using client = clientOf(member)
    const bus = new PeerBus(await client.openBus(AbortSignal.timeout(10_000)), {})
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
      return await sendToAgent(platform, "host27", method, {} as never, { timeoutMs: 20_000 })
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
    const first = new PeerBus(await client.openBus(AbortSignal.timeout(10_000)), {
      onLost: () => {
        isLost = true
      },
    })
    await first.serve("agent.host12", async () => "first")
    const second = new PeerBus(await client.openBus(AbortSignal.timeout(10_000)), {})
    await eventually("the first one to end", () => isLost)
    await second.serve("agent.host12", async () => "second")
    const { bus } = cloud.cloud.platform
    assert.equal(await bus.call("agent.host12", "m", {}, { timeoutMs: 5_000 }), "second")
    await second[Symbol.asyncDispose]()
  })
})
