// Disks of machines that go from one host's agent to another's: at rest, whole, or not at all.
import assert from "node:assert/strict"
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { after, afterEach, test } from "node:test"
import { Fault } from "../platform/fault/fault.ts"
import { newUuid } from "../platform/ids/ids.ts"
import { joinStreams } from "../platform/streams/join.ts"
import { linkedPair } from "../platform/streams/pair.ts"
import { agentDirectories } from "./machine-store.ts"
import { exampleSpec } from "./testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "./testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-disk-travels-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

const serverId = newUuid()
const fence = { generation: 1, fence: 1 }
let count = 0

type Host = FakeAgent & { dataDir: string; theirs: Promise<Duplex> }

/** With the machine; `theirs`: the cloud's end of the first stream that the host opens. */
async function openHost(power: "running" | "shutdown" = "shutdown"): Promise<Host> {
  const dataDir = join(root, String(++count))
  const { promise, resolve } = Promise.withResolvers<Duplex>()
  const dial = async () => {
    const [own, theirs] = linkedPair()
    resolve(theirs)
    return own
  }
  const host = await openFakeAgent({ dataDir, plugged: new Set(), streams: { dial } })
  opened.push(host)
  await host.agent.handle("vm.ensure", { spec: exampleSpec(serverId), power, fence })
  return { ...host, dataDir, theirs: promise }
}

const command = (disk = "root") => ({ serverId, disk, streamId: "s", fence })

function isFault(code: string): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code
}

function leavesNothing({ dataDir }: Host): void {
  const { diskTravels } = agentDirectories(dataDir)
  assert.deepEqual(existsSync(diskTravels) ? readdirSync(diskTravels) : [], [])
}

test("a disk goes from one host to the other, and neither keeps the image", async () => {
  const [from, to] = [await openHost(), await openHost()]
  const both = [from.agent.handle("vm.send_disk", command()), to.agent.handle("vm.receive_disk", command())]
  joinStreams(await from.theirs, await to.theirs)
  await Promise.all(both)
  for (const host of [from, to]) leavesNothing(host)
})

test("a stream that ends in its middle changes no disk, and says so", async () => {
  const to = await openHost()
  const receiving = to.agent.handle("vm.receive_disk", command())
  const stream = await to.theirs
  stream.end(Buffer.from([0, 0, 0, 0, 0, 0, 1, 0, 7]))
  await assert.rejects(receiving, isFault("agent.disk.copy_broken"))
  leavesNothing(to)
})

test("a machine that runs sends nothing and gets nothing, and one has its own disks alone", async () => {
  const running = await openHost("running")
  for (const what of ["vm.send_disk", "vm.receive_disk"] as const) {
    await assert.rejects(running.agent.handle(what, command()), isFault("agent.machine.wrong_state"))
    await assert.rejects(running.agent.handle(what, command("swap")), isFault("agent.disk.missing"))
  }
})
