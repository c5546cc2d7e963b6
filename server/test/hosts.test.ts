// Hosts on other machines: they join at the door, serve and report through it, and are refused when they may not.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { promisify } from "node:util"
import { imageTicket, imageTicketRefused } from "../src/image/index.ts"
import { answerHost } from "../src/launch/host-answer.ts"
import { doorImageStore } from "../src/launch/joined/door-image-store.ts"
import { joinCloud } from "../src/launch/joined/join.ts"
import { memberFiles } from "../src/launch/joined/membership.ts"
import { eventually, systemClock } from "../src/platform/clock/clock.ts"
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

const startHost: HostsCloud["startHost"] = (name, clock) => at.startHost(name, clock)
const serviceOf: HostsCloud["serviceOf"] = (name) => at.serviceOf(name)
const createServerOn: HostsCloud["createServerOn"] = (host) => at.createServerOn(host)

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

  test("whose clock goes wrong afterwards is up by the cloud's clock, and so are its servers", async () => {
    const aheadMs = 24 * 3_600_000
    const { agent } = await startHost("host28", { ...systemClock, now: () => new Date(Date.now() + aheadMs) })
    await eventually("the host to be up", async () => (await serviceOf("host28"))?.state === "up")
    const id = await createServerOn("host28")
    const server = await eventually("the server", async () => {
      const found = await serverOf(id)
      return found.status === "ACTIVE" && found
    })
    const seen = (await serviceOf("host28"))?.updated_at
    for (const told of [server["OS-SRV-USG:launched_at"], server.updated, seen]) {
      const offMs = Date.parse(String(told).replace(/Z?$/, "Z")) - Date.now()
      assert.ok(offMs < aheadMs / 2, `${told} is in the future`)
    }
    await agent.stop({ guests: "leave", graceMs: 0 })
    await eventually("the host to be down", async () => (await serviceOf("host28"))?.state === "down")
  })

  test("is no member any more after it was removed, and its servers keep it from that", async () => {
    const { membership, agent } = await startHost("host3")
    await eventually("the host to be up", async () => (await serviceOf("host3"))?.state === "up")
    const id = await createServerOn("host3")
    await eventually("the server", async () => (await serverOf(id)).status === "ACTIVE")
    await assert.rejects(hosts().remove("host3"), { code: "compute.host.has_servers" })
    const asked = { action: "remove", host: "host3" }
    await assert.rejects(answerHost(cloud.cloud, asked), /has servers.*host drain host3/)
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
    const started = await promisify(execFile)(process.execPath, up, { timeout: 240_000 }).catch(
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
    for (const address of ["192.0.2.1", "127.0.0.1"]) {
      const elsewhere = { ...how, dataDir: join(scratch, "misnamed"), name: "host9", address }
      await assert.rejects(joinCloud(elsewhere), { code: "cli.option.invalid", message: /of this machine/ })
    }
    // Nothing was made of it.
    assert.ok(!existsSync(join(scratch, "misnamed")))
    for (const name of ["host8", "host1"]) {
      const asked = { action: "token", ...{ host: name, address: null, lastsMs: 1_000, isControl: false } }
      await assert.rejects(answerHost(cloud.cloud, asked), { code: "host.name.taken" })
    }
    // A refusal has not used the token; the key that a full disk left empty is made anew.
    writeFileSync(memberFiles(dataDir).keyFile, "")
    await joinCloud({ ...how, name: "host9" })
    await assert.rejects(hosts().remove("host1"), { code: "host.member.not_joined" })
  })
})

test("a reason for which a host is disabled is one line, as long as the API's", async () => {
  const disable = (reason: string) => answerHost(cloud.cloud, { action: "disable", host: "host1", reason })
  for (const reason of ["a".repeat(256), "one\ntwo"])
    await assert.rejects(disable(reason), { code: "cli.option.invalid", message: /^--reason: .* 255 / })
  await disable("a".repeat(255))
  await answerHost(cloud.cloud, { action: "enable", host: "host1" })
})
