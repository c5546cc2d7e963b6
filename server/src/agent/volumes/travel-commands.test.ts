// Volumes that go from one host's agent to another's: whole, or not at all.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { after, afterEach, test } from "node:test"
import { exec } from "../../platform/exec/exec.ts"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { linkedPair } from "../../platform/streams/pair.ts"
import { agentDirectories } from "../machine-store.ts"
import { exampleSpec } from "../testing/example-spec.ts"
import { type FakeAgent, openFakeAgent } from "../testing/fake-agent.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-volume-travels-"))
after(() => rmSync(root, { recursive: true }))
const opened: FakeAgent[] = []
afterEach(async () => {
  for (const { agent } of opened.splice(0)) await agent.release()
})

const gib = 1024 ** 3
const fence = { generation: 1, fence: 1 }
const backend = "fake"
let count = 0

type Host = FakeAgent & { dataDir: string; theirs: Promise<Duplex> }

/** `theirs`: the cloud's end of the first stream that the host opens. */
async function openHost(): Promise<Host> {
  const dataDir = join(root, String(++count))
  const { promise, resolve } = Promise.withResolvers<Duplex>()
  const dial = async () => {
    const [own, theirs] = linkedPair()
    resolve(theirs)
    return own
  }
  const host = await openFakeAgent({ dataDir, plugged: new Set(), streams: { dial } })
  opened.push(host)
  return { ...host, dataDir, theirs: promise }
}

async function withVolume(): Promise<Host & { volumeId: string }> {
  const host = await openHost()
  const volumeId = newUuid()
  await host.agent.handle("volume.create", { volumeId, backend, sizeBytes: gib, fence })
  return { ...host, volumeId }
}

const send = ({ agent }: Host, volumeId: string) =>
  agent.handle("volume.send", { volumeId, backend, streamId: "s", fence })
const receive = ({ agent }: Host, volumeId: string, signal?: AbortSignal) =>
  agent.handle("volume.receive", { volumeId, backend, sizeBytes: gib, streamId: "s", fence }, signal)

const isThere = async ({ agent }: Host, volumeId: string) =>
  (await agent.handle("volume.inspect", { volumeId, backend })).volume !== null

function leavesNothing({ dataDir }: Host): void {
  const { volumeTravels } = agentDirectories(dataDir)
  assert.deepEqual(existsSync(volumeTravels) ? readdirSync(volumeTravels) : [], [])
}

function isFault(code: string, words = /./): (error: unknown) => boolean {
  return (error) => error instanceof Fault && error.code === code && words.test(error.message)
}

/** What a host sends of a volume. */
async function sentOf(from: Host & { volumeId: string }): Promise<Buffer> {
  const sending = send(from, from.volumeId)
  const stream = await from.theirs
  const chunks: Buffer[] = []
  stream.on("data", (chunk: Buffer) => chunks.push(chunk))
  await sending
  stream.destroy()
  return Buffer.concat(chunks)
}

function framed(image: Buffer, length = image.length): Buffer {
  const head = Buffer.alloc(8)
  head.writeBigUInt64BE(BigInt(length))
  return Buffer.concat([head, image, createHash("sha256").update(image).digest()])
}

test("a volume arrives whole, stays where it was, and is not taken twice", async () => {
  const from = await withVolume()
  const to = await openHost()
  const data = await sentOf(from)
  leavesNothing(from)
  assert.ok(await isThere(from, from.volumeId))
  const receiving = receive(to, from.volumeId)
  const stream = await to.theirs
  // In pieces of any size.
  for (let at = 0; at < data.length; at += 5) stream.write(data.subarray(at, at + 5))
  assert.equal((await receiving).sizeBytes, gib)
  assert.ok(await isThere(to, from.volumeId))
  leavesNothing(to)
})

test("what a machine has does not travel, and a stale sender is refused", async () => {
  const from = await withVolume()
  const { volumeId } = from
  await assert.rejects(
    from.agent.handle("volume.send", {
      volumeId,
      backend,
      streamId: "s",
      fence: { generation: 0, fence: 1 },
    }),
    isFault("agent.fence.stale"),
  )
  const spec = exampleSpec(newUuid())
  const disk = { name: volumeId, sizeBytes: gib, bus: "virtio", bootIndex: null }
  const disks = [...spec.disks, { ...disk, source: { kind: "volume" as const, volumeId, backend } }]
  await from.agent.handle("vm.ensure", { spec: { ...spec, disks }, power: "running", fence })
  await assert.rejects(send(from, volumeId), isFault("agent.volume.in_use"))
  leavesNothing(from)
})

test("what breaks off, is changed on the way or claims too much leaves nothing", async () => {
  const data = await sentOf(await withVolume())
  const changed = Buffer.from(data)
  changed[100] = (changed[100] ?? 0) ^ 1
  const cases: [string, Buffer, RegExp][] = [
    ["nothing", Buffer.alloc(0), /ended in its middle/],
    ["a part of its length", data.subarray(0, 5), /ended in its middle/],
    ["a part of the data", data.subarray(0, 5_000), /ended in its middle/],
    ["no sum", data.subarray(0, -1), /ended in its middle/],
    ["another byte", changed, /checksum/],
    ["too much", framed(Buffer.alloc(9), 2 ** 45), /image of 35184372088832 bytes/],
  ]
  for (const [what, bytes, words] of cases) {
    const to = await openHost()
    const volumeId = newUuid()
    const refused = assert.rejects(receive(to, volumeId), isFault("agent.volume.copy_broken", words), what)
    const stream = await to.theirs
    stream.end(bytes)
    await refused
    assert.equal(await isThere(to, volumeId), false, what)
    leavesNothing(to)
  }
})

test("an image that a host made up is looked at as anybody's: it names no file of this host", async () => {
  const file = join(root, "lies.qcow2")
  const backing = ["-b", "/etc/hostname", "-F", "raw"]
  await exec("qemu-img", ["create", "-q", "-f", "qcow2", ...backing, file, String(gib)])
  for (const image of [readFileSync(file), Buffer.from("no image at all")]) {
    const to = await openHost()
    const volumeId = newUuid()
    const refused = assert.rejects(receive(to, volumeId), isFault("agent.image.refused"))
    const stream = await to.theirs
    stream.end(framed(image))
    await refused
    assert.equal(await isThere(to, volumeId), false)
    leavesNothing(to)
  }
})

test("nobody waits for it any more: it ends at once, and leaves nothing", async () => {
  const to = await openHost()
  const volumeId = newUuid()
  const nobody = new AbortController()
  const receiving = receive(to, volumeId, nobody.signal)
  await to.theirs
  nobody.abort()
  await assert.rejects(receiving)
  leavesNothing(to)
})
