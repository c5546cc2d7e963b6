import assert from "node:assert/strict"
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually, systemClock } from "../../../platform/clock/clock.ts"
import { exec } from "../../../platform/exec/exec.ts"
import { newUuid } from "../../../platform/ids/ids.ts"
import { exampleSpec } from "../../testing/example-spec.ts"
import { hypervisorContract } from "../contract.ts"
import { loginPrompt } from "./console-text.ts"
import { emptyQcow2 } from "./empty-qcow2.ts"
import { FakeHypervisor } from "./fake.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-fake-"))
after(() => rmSync(directory, { recursive: true }))
let count = 0
const newDir = () => join(directory, String(++count))
const open = (dir: string, control = {}) =>
  new FakeHypervisor({ host: "host1", hostIp: "127.0.0.1", dir, clock: systemClock, control })
const input = (serverId: string) => ({ spec: exampleSpec(serverId), vifs: [], imageFiles: {} })

hypervisorContract("fake", async () => {
  const dir = newDir()
  return {
    open: async () => open(dir),
    input: async (serverId) => input(serverId),
    volume: async () => ({ kind: "nothing" }),
    kill: async (hypervisor, handle) => hypervisor.losePower([handle.serverId]),
    guestPowersOff: async (hypervisor, handle) => hypervisor.guestPowersOff(handle.serverId),
    guestReboots: async (hypervisor, handle) => hypervisor.guestReboots(handle.serverId),
    boots: async (hypervisor, handle) =>
      (await hypervisor.consoleLog(handle, null)).split(loginPrompt).length - 1,
    dispose: async () => {},
  }
})

test("it fails at the step it was told, and at no other", async () => {
  await using fake = open(newDir(), { fail: { operation: "ensure", at: 2, times: 2 } })
  const make = async () => await fake.ensure({ ...input(newUuid()), power: "running" }, null)
  await make()
  await assert.rejects(make(), /told to fail at ensure 2/)
  await assert.rejects(make(), /told to fail at ensure 3/)
  await make()
})

test("it is as slow as it was told", async () => {
  await using fake = open(newDir(), { delayMs: 40 })
  const start = systemClock.monotonicMs()
  await fake.ensure({ ...input(newUuid()), power: "running" }, null)
  assert.ok(systemClock.monotonicMs() - start >= 39)
})

test("at a realistic pace, what changes a machine takes its time and looking takes none", async () => {
  const pauses: number[] = []
  const clock = { ...systemClock, sleep: async (ms: number) => void pauses.push(ms) }
  const options = { host: "h", hostIp: "127.0.0.1", dir: newDir(), clock }
  await using fake = new FakeHypervisor({ ...options, pace: "realistic" })
  const handle = await fake.ensure({ ...input(newUuid()), power: "running" }, null)
  await fake.inspect(handle)
  await fake.reboot(handle, { hard: true })
  assert.deepEqual(
    pauses.filter((ms) => ms >= 1_000),
    [1_500, 1_500],
  )
})

test("the control file is obeyed while it runs", async () => {
  const dir = newDir()
  await using fake = open(dir)
  const handle = await fake.ensure({ ...input(newUuid()), power: "running" }, null)
  writeFileSync(join(dir, "control.json"), JSON.stringify({ losePower: [handle.serverId] }))
  await eventually("the power loss", async () => (await fake.inspect(handle)).power === "crashed")
})

test("a journal whose last line was cut short still holds the rest", async () => {
  const dir = newDir()
  const serverId = newUuid()
  {
    await using fake = open(dir)
    await fake.ensure({ ...input(serverId), power: "running" }, null)
  }
  appendFileSync(join(dir, "journal.jsonl"), '{"serverId":"x","rec')
  await using fake = open(dir)
  assert.equal((await fake.recover({ serverId, driver: "fake" })).power, "running")
})

test("the console shows the machine's own facts", async () => {
  await using fake = open(newDir())
  const vifs = [{ portId: newUuid(), macAddress: "fa:16:3e:12:34:56", mtu: 1442, device: null }]
  const handle = await fake.ensure({ ...input(newUuid()), vifs, power: "running" }, null)
  const text = await fake.consoleLog(handle, null)
  assert.match(text, /eth0: fa:16:3e:12:34:56/)
  assert.match(text, /vm1 login: /)
})

test("the fake's snapshot is a whole qcow2 file", async () => {
  for (const sizeBytes of [1024 ** 3, 3 * 1024 ** 4]) {
    const path = join(directory, `${sizeBytes}.qcow2`)
    writeFileSync(path, emptyQcow2(sizeBytes))
    await exec("qemu-img", ["check", "-q", "-f", "qcow2", path])
    const { stdout } = await exec("qemu-img", ["info", "--output=json", "-f", "qcow2", path])
    assert.equal(JSON.parse(stdout)["virtual-size"], sizeBytes)
  }
})
