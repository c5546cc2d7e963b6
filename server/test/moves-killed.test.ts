// The agents of two joined hosts die at every step of a server's way from one to the other, each alone and both at a
// time: they start again, and the server is on exactly one of them in the end.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { sendToAgent } from "../src/engine/agent-call.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import type { Death } from "./dying-host.ts"
import { HostsCloud } from "./hosts-cloud.ts"
import { MortalHost } from "./mortal-host.ts"

let at: HostsCloud
let imageId: string
let from: MortalHost
let to: MortalHost

before(async () => {
  at = await HostsCloud.start({
    // A process starts in a second or, where much else works, in several.
    ...{ "engine.sagaRetryFirstMs": 100, "engine.sagaRetryMostMs": 500, "engine.sagaDoAttemptsMost": 60 },
    "engine.sagaWaitMostMs": 500,
  })
  ;[from, to] = [await MortalHost.join(at, "host2"), await MortalHost.join(at, "host3")]
  const wish = { name: "small", disk_format: "raw", container_format: "bare" }
  imageId = (await at.ok("POST", "/image/v2/images", wish)).id
  const put = await at.cloud.request("PUT", `/image/v2/images/${imageId}/file`, {
    token: await at.cloud.token(),
    headers: { "content-type": "application/octet-stream" },
    body: "x".repeat(1024),
  })
  assert.equal(put.status, 204)
})
after(async () => {
  from?.end()
  to?.end()
  await at?.[Symbol.asyncDispose]()
})

const path = (id: string) => `/compute/v2.1/servers/${id}`

async function settled(id: string): Promise<{ status: string; host: string; fault: unknown }> {
  return await eventually(`server ${id} to settle`, async () => {
    const { server } = await at.ok("GET", path(id))
    const { status, fault, "OS-EXT-STS:task_state": task, "OS-EXT-SRV-ATTR:host": host } = server
    return task === null && status !== "BUILD" && { status, host, fault }
  })
}

async function create(): Promise<string> {
  const server = { name: "s", flavorRef: "1", imageRef: imageId, host: from.name, networks: "none" }
  const made = await at.ok("POST", "/compute/v2.1/servers", { server })
  const { status, fault } = await settled(made.server.id)
  assert.equal(status, "ACTIVE", JSON.stringify(fault))
  return made.server.id
}

async function remove(id: string): Promise<void> {
  await at.ok("DELETE", path(id))
  await eventually("it to be gone", async () => (await at.call("GET", path(id))).status === 404)
}

const powerOn = ({ name }: MortalHost, id: string) =>
  eventually(`${name} to answer`, async () => {
    const { platform } = at.cloud.cloud
    const machines = await sendToAgent(platform, name, "vm.list", {}, { timeoutMs: 5_000 }).catch(() => null)
    return machines && (machines.find(({ serverId }) => serverId === id)?.state.power ?? "none")
  })

const moveOf = async (id: string) =>
  (await at.ok("GET", `/compute/v2.1/os-migrations?instance_uuid=${id}`)).migrations[0]

async function setDown(isDown: boolean): Promise<void> {
  const { services } = await at.ok("GET", `/compute/v2.1/os-services?binary=nova-compute&host=${from.name}`)
  await at.ok("PUT", `/compute/v2.1/os-services/${services[0].id}`, { forced_down: isDown })
}

interface Way {
  begin: (id: string) => Promise<void>
  /** Waits for its end and looks. */
  check: (id: string) => Promise<void>
}

const lives: Death = { atCall: 0, when: "before" }

/** Once without a death, to see which calls there are; then with one before and after each of these that change much. */
async function dieEverywhere(
  way: Way,
  dying: MortalHost,
  { among, other }: { among: readonly string[]; other?: MortalHost },
): Promise<string[]> {
  const once = async (death: Death) => {
    const id = await create()
    dying.tell(death)
    const { deaths } = dying
    dying.onDeath = () => other?.kill()
    await way.begin(id)
    if (death.atCall > 0) await eventually("the host to die", () => dying.deaths > deaths)
    await way.check(id)
    const calls = [...dying.calls]
    dying.onDeath = () => {}
    for (const host of [from, to]) host.tell(lives)
    await remove(id)
    return calls
  }
  const calls = await once(lives)
  for (const [index, call] of calls.entries())
    if (among.includes(call))
      for (const when of ["before", "after"] as const) await once({ atCall: index + 1, when })
  return calls
}

const evacuation: Way = {
  begin: async (id) => {
    await setDown(true)
    await at.ok("POST", `${path(id)}/action`, { evacuate: { host: to.name } })
  },
  check: async (id) => {
    const { status, host, fault } = await settled(id)
    assert.deepEqual([status, host], ["SHUTOFF", to.name], JSON.stringify(fault))
    assert.equal(await powerOn(to, id), "shutdown")
    assert.notEqual(await powerOn(from, id), "running")
    await setDown(false)
    await eventually("nothing to be left", async () => (await moveOf(id)).status === "completed", {
      timeoutMs: 120_000,
    })
    assert.equal(await powerOn(from, id), "none")
  },
}

const liveMigration: Way = {
  begin: async (id) => {
    const live = { host: to.name, block_migration: "auto" }
    await at.ok("POST", `${path(id)}/action`, { "os-migrateLive": live })
  },
  check: async (id) => {
    const { status, host, fault } = await settled(id)
    assert.equal(status, "ACTIVE", JSON.stringify(fault))
    const [here, away] = host === to.name ? [to, from] : [from, to]
    assert.equal(here.name, host)
    assert.equal(await powerOn(here, id), "running")
    await eventually("nothing on the other host", async () => (await powerOn(away, id)) === "none", {
      timeoutMs: 120_000,
    })
    assert.equal((await moveOf(id)).status, host === to.name ? "completed" : "error")
  },
}

test("the new host's agent dies at every step of an evacuation: the server is there, once", async (t) => {
  const calls = await dieEverywhere(evacuation, to, { among: ["hypervisor.destroy", "hypervisor.ensure"] })
  t.diagnostic(calls.join(" "))
  assert.ok(calls.includes("hypervisor.ensure"))
})

test("either agent dies at every step of a live migration: the guest runs on one host, as the rows say", async (t) => {
  for (const [dying, among] of [
    [from, ["hypervisor.sendLive", "hypervisor.destroy"]],
    [to, ["hypervisor.receiveLive", "hypervisor.setPower"]],
  ] as const) {
    const calls = await dieEverywhere(liveMigration, dying, { among })
    t.diagnostic(`${dying.name}: ${calls.join(" ")}`)
    for (const call of among) assert.ok(calls.includes(call), calls.join(" "))
  }
})

test("both agents die at a time, at every step of the new one's: the guest runs on one host", async (t) => {
  const calls = await dieEverywhere(liveMigration, to, {
    among: ["hypervisor.receiveLive", "hypervisor.setPower"],
    other: from,
  })
  t.diagnostic(calls.join(" "))
})
