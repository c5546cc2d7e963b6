// A cloud of the commit before, with hosts and guests of real networks, is upgraded host by host to this one and back,
// while a client asks all the time. KUMOI_UPGRADE_FROM names another commit.
import assert from "node:assert/strict"
import { join, resolve } from "node:path"

import { after, before, describe, test } from "node:test"
import { AskingClient } from "../asking.ts"
import { eventually, isRoot, sshOptions, TestCloud } from "../cloud.ts"
import { GuestLine } from "../guest-line.ts"
import { cloudAddress, hostBridges, TestHost } from "../hosts.ts"
import { Session } from "../session.ts"
import { checkOutTree, earlierCommit, type Tree } from "../trees.ts"

const own = resolve(import.meta.dirname, "../..")
const commit = await earlierCommit()
const skip = !isRoot ? "real networks need root" : commit === null ? "there is no earlier commit here" : false

describe("a rolling upgrade", { skip }, () => {
  let earlier: Tree
  let cloud: TestCloud
  let admin: Session
  const hosts: TestHost[] = []
  /** By host: its guest, with what shows that it was never started again. */
  const guests = new Map<string, { id: string; address: string; boot: string }>()
  /** By host: one connection to its guest that lasts. */
  const lines = new Map<string, GuestLine>()
  const keyFile = () => join(cloud.dataDir, "test-key")

  before(async () => {
    earlier = await checkOutTree(commit ?? "")
    const flags = ["--listen", cloudAddress]
    const { path: tree } = earlier
    cloud = await TestCloud.start({ hypervisor: "qemu", network: "ovn", flags, bridges: hostBridges, tree })
    admin = await Session.open(cloud, "admin")
    for (const number of [2, 3]) {
      const host = await TestHost.make(cloud, number)
      hosts.push(host)
      await host.join()
    }
  })
  after(async () => {
    for (const line of lines.values()) await line[Symbol.asyncDispose]()
    for (const host of hosts) await host[Symbol.asyncDispose]()
    await cloud?.[Symbol.asyncDispose]()
    await earlier?.[Symbol.asyncDispose]()
  })

  interface ShownHost {
    name: string
    state: string
    version?: string | null
  }
  const listed = async (): Promise<ShownHost[]> =>
    JSON.parse((await cloud.kumoi("host", "list", "--json")).stdout).cloudHosts
  const allUp = (what: string) =>
    eventually(`all hosts to be up ${what}`, async () => {
      const states = (await listed()).map(({ state }) => state)
      return states.length === 3 && states.every((state) => state === "up")
    })
  const ssh = async (address: string, command: string) => {
    const args = ["-i", keyFile(), ...sshOptions, `cirros@${address}`, command]
    return (await cloud.inside("ssh", args)).stdout.trim()
  }
  const bootOf = (address: string) => ssh(address, "cat /proc/sys/kernel/random/boot_id")

  /** What a host is for: a guest comes, is reached, and goes. */
  async function serves(host: string, name: string): Promise<void> {
    const id = await admin.createServer({ name, host })
    await admin.untilStatus(id, "ACTIVE")
    await admin.deleteServer(id)
  }

  async function guestsGoOn(when: string): Promise<void> {
    for (const [host, { id, address, boot }] of guests) {
      assert.equal(await eventually(`the guest on ${host} ${when}`, () => bootOf(address)), boot, when)
      assert.equal((await admin.server(id)).status, "ACTIVE", when)
      const line = lines.get(host)
      const heard = line?.words ?? 0
      await eventually(
        `a word of the guest on ${host} ${when}`,
        async () => line?.end ?? (line?.words ?? 0) > heard,
      )
      assert.equal(line?.end, null, `the connection to the guest on ${host} ${when}`)
    }
  }

  const upgrade = (at: TestCloud | TestHost, tree: string) =>
    // By this program, also when it hands over to an earlier one that has no such command.
    at.inside(join(own, "kumoi"), ["upgrade", "--data", at.dataDir, "--to", tree], { timeoutMs: 600_000 })

  function takeOver(tree: string): void {
    cloud.tree = tree
    for (const host of hosts) host.tree = tree
  }

  test("guests run on every host of the cloud of before", async () => {
    await allUp("at first")
    await admin.createKey("key", keyFile())
    await admin.letIn()
    for (const { name: host } of await listed()) {
      const id = await admin.createServer({ name: `on-${host}`, host, key_name: "key" })
      guests.set(host, { id, address: "", boot: "" })
    }
    for (const guest of guests.values()) {
      await admin.untilStatus(guest.id, "ACTIVE")
      guest.address = await admin.giveFloatingIp(guest.id)
      guest.boot = await eventually("the guest", () => bootOf(guest.address))
      assert.match(guest.boot, /^[0-9a-f-]{36}$/)
    }
    for (const [host, { address }] of guests) {
      const line = new GuestLine(cloud, address, keyFile())
      lines.set(host, line)
      await eventually("its first words", async () => line.end ?? line.words > 2)
      assert.equal(line.end, null)
    }
  })

  test("upgraded host by host and back, no request fails and every guest goes on", async () => {
    const { path: before } = earlier
    const { stdout } = await cloud.inside(join(own, "kumoi"), [
      ...["upgrade", "--dry-run", "--data", cloud.dataDir],
    ])
    process.stdout.write(stdout.replaceAll(/^/gm, "# "))
    assert.match(stdout, /host2.*goes on/)
    const server = [...guests.values()][0]?.id ?? assert.fail("no guest")
    const client = new AskingClient(admin, [
      ["GET", "/compute/v2.1/servers/detail"],
      ["PUT", `/compute/v2.1/servers/${server}/metadata/key`, { meta: { key: "value" } }],
      ["GET", "/network/v2.0/ports"],
      ["GET", "/identity/v3/projects"],
      ["GET", "/volume/v3/volumes/detail"],
    ])
    const [second, third] = [hosts[0] ?? assert.fail("no host"), hosts[1] ?? assert.fail("no host")]
    const first = (await listed()).find(({ name }) => name !== second.name && name !== third.name)?.name ?? ""
    // The cloud first, then its hosts: hosts of before at a newer cloud.
    await upgrade(cloud, own)
    await allUp("with a newer cloud")
    await guestsGoOn("with a newer cloud")
    for (const host of [first, second.name]) await serves(host, "at-newer-cloud")
    await upgrade(second, own)
    await allUp("with the second host upgraded")
    await guestsGoOn("with the second host upgraded")
    for (const host of [second.name, third.name]) await serves(host, "at-mixed-hosts")
    await upgrade(third, own)
    await allUp("with all upgraded")
    const versions = await eventually("each host to say its version", async () => {
      const found = (await listed()).map(({ version }) => version)
      return found.every((version) => typeof version === "string") && found
    })
    assert.equal(new Set(versions).size, 1)
    await guestsGoOn("with all upgraded")
    // And back, the other way round: newer hosts at a cloud of before.
    await upgrade(cloud, before)
    takeOver(before)
    await allUp("with the cloud taken back")
    await guestsGoOn("with the cloud taken back")
    for (const host of [first, second.name]) await serves(host, "newer-host")
    for (const host of [third, second]) await upgrade(host, before)
    await allUp("with all taken back")
    await guestsGoOn("with all taken back")
    await serves(third.name, "taken-back")
    const asked = await client.stop()
    process.stdout.write(`# ${JSON.stringify(asked)}\n`)
    for (const [host, { words, longestGapMs }] of lines)
      process.stdout.write(
        `# the guest on ${host}: ${words} words, ${longestGapMs} ms between two at the most\n`,
      )
    assert.deepEqual(asked.failures, [])
    assert.ok(asked.retries > 0, "the client has met restarts")
  })
})
