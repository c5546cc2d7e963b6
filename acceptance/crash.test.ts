// kill -9 in the middle of work: what was accepted is finished, and nothing is left without an owner.
import assert from "node:assert/strict"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { eventually, TestCloud } from "./cloud.ts"
import { type Answer, type Server, Session } from "./session.ts"

const batch = 20

describe("kill -9 of the process while servers are made and deleted", () => {
  let cloud: TestCloud
  let demo: Session
  let admin: Session
  let network = ""
  let image = ""

  before(async () => {
    cloud = await TestCloud.start({ hypervisor: "fake", network: "fake" })
    await cloud.kumoi("down")
    // Room for every batch on a small machine.
    const config = join(cloud.dataDir, "test.yaml")
    writeFileSync(config, "compute: {cpuAllocationRatio: 100, quota: {instances: -1, cores: -1, ram: -1}}\n")
    await cloud.up("--config", config)
    demo = await Session.open(cloud, "demo")
    admin = await Session.open(cloud, "admin")
    // With an address for every server: what is made beyond those that were answered counts too.
    network = await demo.createNetwork({ name: "crash" }, { cidr: "192.168.64.0/22" })
    image = await demo.imageId("kumoi-guest")
  })
  after(async () => await cloud?.[Symbol.asyncDispose]())

  const create = (name: string): Promise<Answer> =>
    demo.send("POST", "/compute/v2.1/servers", {
      server: { name, imageRef: image, flavorRef: "42", networks: [{ uuid: network }] },
    })
  const servers = async (): Promise<Server[]> =>
    (await demo.get("/compute/v2.1/servers/detail?limit=1000")).servers

  /** Every machine's commands take so long from now on: widens the moments in which a kill can come. */
  const slowMachines = (delayMs: number) =>
    writeFileSync(join(cloud.dataDir, "agent/fake/control.json"), JSON.stringify({ delayMs }))

  /** Sends all at once, kills the process when `isMoment`, and returns those that were answered before. */
  async function killDuring(
    requests: readonly (() => Promise<Answer>)[],
    isMoment: (answered: number) => Promise<boolean>,
  ): Promise<Answer[]> {
    const pid = await cloud.mainPid()
    const answers: Answer[] = []
    const all = requests.map(async (request) => {
      try {
        answers.push(await request())
      } catch {
        // The connection broke: nothing was promised.
      }
    })
    await eventually("the moment", () => isMoment(answers.length), { everyMs: 5 })
    process.kill(pid, "SIGKILL")
    await Promise.all(all)
    return answers
  }

  async function backUp(): Promise<number> {
    const startedMs = performance.now()
    await cloud.up("--config", join(cloud.dataDir, "test.yaml"))
    return performance.now() - startedMs
  }

  /** Ports, allocations and machines belong to servers that are there, and to each server its own. */
  async function checkOwners(): Promise<void> {
    await eventually("everything to have an owner", async () => {
      const there = new Map((await servers()).map((s) => [s.id, s]))
      const owned = (what: string, ids: Iterable<string>, needed: (s: Server) => boolean) => {
        const seen = [...ids].sort()
        const orphans = seen.filter((id) => !there.has(id))
        assert.deepEqual(orphans, [], `${what} without a server`)
        const wanted = [...there.values()].filter(needed).map((s) => s.id)
        assert.deepEqual(
          wanted.filter((id) => !seen.includes(id)),
          [],
          `servers without ${what}`,
        )
      }
      const isActive = (s: Server) => s.status === "ACTIVE"
      const { ports } = await admin.get("/network/v2.0/ports")
      const ofServers = ports.filter((p: Port) => p.device_owner.startsWith("compute:") || p.device_id === "")
      owned(
        "ports",
        ofServers.map((p: Port) => p.device_id),
        isActive,
      )
      assert.equal(
        new Set(ofServers.map((p: Port) => p.device_id)).size,
        ofServers.length,
        "two ports of one server",
      )
      owned("allocations", await consumers(), isActive)
      owned("machines", readdirSync(join(cloud.dataDir, "agent/vms")), isActive)
      const { absolute } = (await demo.get("/compute/v2.1/limits")).limits
      assert.equal(absolute.totalInstancesUsed, there.size, "quota")
      return true
    })
  }

  async function consumers(): Promise<string[]> {
    const { resource_providers } = await admin.get("/placement/resource_providers")
    const found: string[] = []
    for (const { uuid } of resource_providers) {
      const path = `/placement/resource_providers/${uuid}/allocations`
      found.push(...Object.keys((await admin.get(path)).allocations))
    }
    return found
  }

  /** Those that are there and should be gone, or are there and not ACTIVE. */
  async function wrong(gone: ReadonlySet<string>): Promise<string[]> {
    const left = (await servers()).filter((s) => gone.has(s.id) || s.status !== "ACTIVE")
    return left.map((s) => `${s.id} ${s.name} ${s.status} ${gone.has(s.id)} ${s.fault?.message ?? ""}`)
  }

  async function untilSettled(): Promise<Server[]> {
    return await eventually("every server to be ACTIVE or ERROR", async () => {
      const all = await servers()
      const unsettled = all.filter((s) => s.status !== "ACTIVE" && s.status !== "ERROR")
      assert.deepEqual(
        unsettled.map((s) => `${s.name} ${s.status}`),
        [],
      )
      return all
    })
  }

  const hasOneActive = async () => (await servers()).some((s) => s.status === "ACTIVE")
  const moments: [string, number, (answered: number) => Promise<boolean>][] = [
    ["the first is accepted", 0, async (answered) => answered >= 1],
    ["half of them are accepted", 0, async (answered) => answered >= batch / 2],
    ["all are accepted", 300, async (answered) => answered === batch],
    ["the first is ACTIVE", 300, async (answered) => answered === batch && (await hasOneActive())],
  ]
  for (const [round, [when, delayMs, isMoment]] of moments.entries()) {
    test(`killed when ${when} of ${batch}: each becomes ACTIVE`, async () => {
      slowMachines(delayMs)
      const known = new Set((await servers()).map((s) => s.id))
      const names = Array.from({ length: batch }, (_, i) => `r${round}-${i}`)
      const answers = await killDuring(
        names.map((name) => () => create(name)),
        isMoment,
      )
      for (const answer of answers) assert.equal(answer.status, 202, JSON.stringify(answer.body))
      const startMs = await backUp()
      const backMs = performance.now()
      const settled = await untilSettled()
      const workMs = performance.now() - backMs
      for (const { body } of answers)
        assert.ok(
          settled.some((s) => s.id === body.server.id),
          `${body.server.id} was accepted and is lost`,
        )
      const made = settled.filter((s) => !known.has(s.id))
      assert.ok(made.length <= batch, "no server was made twice")
      // Nothing is wrong with the host, so nothing may fail.
      assert.deepEqual(
        made.filter((s) => s.status === "ERROR").map((s) => s.fault),
        [],
      )
      const active = made.filter((s) => s.status === "ACTIVE").length
      process.stdout.write(
        `# accepted ${answers.length}, there ${made.length}, ACTIVE ${active}; up ${Math.round(startMs)} ms, ` +
          `settled ${Math.round(workMs)} ms after\n`,
      )
      await checkOwners()
    })
  }

  test("killed while servers are deleted: what was accepted is gone, and what it had", async () => {
    slowMachines(300)
    const all = await servers()
    assert.ok(all.length >= batch)
    const answers = await killDuring(
      all.map(
        (s) => () => demo.send("DELETE", `/compute/v2.1/servers/${s.id}`).then((a) => ({ ...a, body: s.id })),
      ),
      async (answered) => answered >= all.length / 2,
    )
    for (const answer of answers) assert.equal(answer.status, 204)
    slowMachines(0)
    const startMs = await backUp()
    const backMs = performance.now()
    const gone = new Set(answers.map((a) => a.body))
    await eventually("the deleted to be gone", async () => {
      assert.deepEqual(await wrong(gone), [])
      return true
    })
    const workMs = performance.now() - backMs
    process.stdout.write(
      `# deletes accepted ${answers.length}; up ${Math.round(startMs)} ms, done ${Math.round(workMs)} ms after\n`,
    )
    await checkOwners()
  })

  test("killed while created servers are deleted at once: none is left half", async () => {
    slowMachines(300)
    const names = Array.from({ length: batch }, (_, i) => `both-${i}`)
    const created = await Promise.all(names.map((name) => create(name)))
    const ids = created.map((a) => a.body.server.id)
    const answers = await killDuring(
      ids.map(
        (id) => () => demo.send("DELETE", `/compute/v2.1/servers/${id}`).then((a) => ({ ...a, body: id })),
      ),
      async (answered) => answered >= batch / 2,
    )
    for (const answer of answers) assert.equal(answer.status, 204)
    slowMachines(0)
    await backUp()
    const gone = new Set(answers.map((a) => a.body))
    await eventually("the deleted to be gone, the others ACTIVE", async () => {
      assert.deepEqual(await wrong(gone), [])
      return true
    })
    await checkOwners()
  })
})

interface Port {
  device_id: string
  device_owner: string
}
