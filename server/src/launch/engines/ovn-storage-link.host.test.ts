// Storage that QEMU reaches from the cloud's namespace, and what it does not reach from there.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { after, before, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { setUpNetworkHost, tearDownNetworkHost } from "./ovn-host.ts"
import { ovnPaths } from "./ovn-paths.ts"
import { readRecord } from "./ovn-record.ts"

const id = randomBytes(4).toString("hex")
const paths = ovnPaths(id)
/** Another machine, with a server of storage, and something else that is in the same network as the host. */
const nas = `nas-${id}`
const [link, peer] = [`na-${id}`, `nb-${id}`]
const ip = (...args: string[]) => exec("ip", args)

before(async () => {
  await ip("netns", "add", nas)
  await ip("link", "add", link, "type", "veth", "peer", "name", peer, "netns", nas)
  for (const address of ["198.51.100.1/24", "203.0.113.1/24"])
    await ip("address", "add", address, "dev", link)
  await ip("link", "set", link, "up")
  for (const address of ["198.51.100.2/24", "203.0.113.2/24"]) {
    await ip("-n", nas, "address", "add", address, "dev", peer)
  }
  await ip("-n", nas, "link", "set", peer, "up")
})
after(async () => {
  await tearDownNetworkHost({ id, log: silentLogger })
  await exec("ip", ["netns", "delete", nas])
  const left = await exec("ip", ["link", "show", paths.storageLink], { okCodes: [0, 1] })
  assert.equal(left.exitCode, 1)
  assert.doesNotMatch((await exec("nft", ["list", "tables"])).stdout, new RegExp(id))
})

const setUp = (...storageNetworks: string[]) =>
  setUpNetworkHost({ id, publicAddresses: [], storageNetworks, log: silentLogger })

const listener = `require("net").createServer((c) => c.end(c.remoteAddress)).listen(4000, "0.0.0.0")`
const asking = (to: string) =>
  `require("net").connect(4000, "${to}").on("data", (d) => { console.log(String(d)); process.exit() })` +
  `.on("error", () => process.exit(3)); setTimeout(() => process.exit(3), 2000)`

async function asked(netns: string, to: string): Promise<string> {
  const { stdout } = await exec("ip", ["netns", "exec", netns, process.execPath, "-e", asking(to)], {
    okCodes: [0, 3],
  })
  return stdout.trim()
}

test("storage is reached by the host's address, nothing else is, and nobody gets in", async () => {
  await setUp("198.51.100.0/24")
  const stop = new AbortController()
  const serve = (...prefix: string[]) => {
    const [program = "", ...args] = [...prefix, process.execPath, "-e", listener]
    return exec(program, args, { signal: stop.signal, timeoutMs: 60_000 }).catch(() => {})
  }
  const served = [serve("ip", "netns", "exec", nas), serve("ip", "netns", "exec", paths.netns), serve("env")]
  try {
    const reached = await eventually("the storage", () => asked(paths.netns, "198.51.100.2"))
    assert.equal(reached, "198.51.100.1")
    // A server of storage on the host itself.
    assert.notEqual(await eventually("the host's own", () => asked(paths.netns, "198.51.100.1")), "")
    const { outerAddress = "", innerAddress = "" } = readRecord(paths.recordFile)?.storage ?? {}
    for (const other of ["203.0.113.2", "203.0.113.1", outerAddress]) {
      assert.equal(await asked(paths.netns, other), "", other)
    }
    await ip("-n", nas, "route", "add", innerAddress, "via", "198.51.100.1")
    assert.equal(await asked(nas, innerAddress), "")
    // Another one is reached, and that one no more; the addresses are those of before.
    await setUp("203.0.113.0/24")
    assert.equal(readRecord(paths.recordFile)?.storage?.innerAddress, innerAddress)
    assert.equal(await asked(paths.netns, "203.0.113.2"), "203.0.113.1")
    assert.equal(await asked(paths.netns, "198.51.100.2"), "")
    await setUp()
    assert.equal(await asked(paths.netns, "203.0.113.2"), "")
  } finally {
    stop.abort()
    await Promise.all(served)
  }
})
