import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, beforeEach, test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import type { BridgeMappings } from "../../platform/net/bridge-mappings.ts"
import { answerMappings, type MappedHost } from "./member-mappings.ts"
import { changeMembership, type Membership, readMembership } from "./membership.ts"

const dataDir = mkdtempSync(join(tmpdir(), "kumoi-mappings-"))
after(() => rmSync(dataDir, { recursive: true }))

const membership: Membership = {
  ...{ door: "https://10.0.0.1:5443", name: "host2", id: "x", address: "10.0.0.2" },
  hypervisor: "qemu",
  bridgeMappings: { dc: "br-dc" },
}
beforeEach(() => changeMembership(dataDir, membership))
const kept = () => readMembership(dataDir)?.bridgeMappings

function hostOf(mapBridges: MappedHost["mapBridges"]): MappedHost & { said: number } {
  const host = { dataDir, mapBridges, said: 0, sayAlive: () => void host.said++ }
  return host
}

test("mappings are kept once they hold, and the cloud hears of it", async () => {
  const host = hostOf(async () => assert.deepEqual(kept(), { dc: "br-dc" }))
  const answer = await answerMappings(host, { mappings: ["dc:br-2", "lab:br-lab"] })
  assert.deepEqual(answer, { mappings: { dc: "br-2", lab: "br-lab" } })
  assert.deepEqual(kept(), answer.mappings)
  assert.equal(host.said, 1)
  assert.equal(JSON.parse(readFileSync(join(dataDir, "host.json"), "utf8")).door, membership.door)
  await answerMappings(
    hostOf(async () => {}),
    { mappings: [] },
  )
  assert.deepEqual(kept(), {})
})

test("what cannot be changes nothing, and what follows goes on", async () => {
  const noBridge = new Fault("precondition", "network.host.no_bridge", "It is no bridge here.")
  const seen: BridgeMappings[] = []
  const host = hostOf(async (mappings) => {
    seen.push(mappings)
    if (mappings.dc === "br-none") throw noBridge
  })
  const asked = [["dc:br-none"], ["dc=br-dc"], ["lab:br-lab"]].map((mappings) =>
    answerMappings(host, { mappings }).then(
      () => "done",
      ({ code }) => code,
    ),
  )
  assert.deepEqual(await Promise.all(asked), ["network.host.no_bridge", "cli.option.invalid", "done"])
  assert.deepEqual(seen, [{ dc: "br-none" }, { lab: "br-lab" }])
  assert.deepEqual(kept(), { lab: "br-lab" })
  assert.equal(host.said, 1)
})

test("a host that is the public network's gateway by itself maps no other bridge to it", async () => {
  changeMembership(dataDir, { ...membership, isPublic: true })
  const host = hostOf(async () => assert.fail("nothing is to change"))
  await assert.rejects(answerMappings(host, { mappings: ["public:br-2"] }), { code: "cli.option.invalid" })
  await assert.rejects(answerMappings(hostOf(null), { mappings: [] }), { code: "cli.mappings.simulated" })
})
