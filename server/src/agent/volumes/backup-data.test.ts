import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { MemoryBackups } from "../testing/memory-backups.ts"
import { fetchFile, sendFile } from "./backup-data.ts"

const dir = mkdtempSync(join(tmpdir(), "kumoi-backup-data-"))
after(() => rmSync(dir, { recursive: true }))
const path = join(dir, "volume")
const chunkBytes = 512
const bytesMost = 2 ** 40
const { signal } = new AbortController()

async function send(store: MemoryBackups, dataId: string): Promise<void> {
  await sendFile(path, { store, access: { dataId, ticket: "t" }, chunkBytes, signal })
}

async function fetched(store: MemoryBackups, dataId: string): Promise<Buffer> {
  const to = join(dir, dataId)
  writeFileSync(to, "")
  await fetchFile(to, { store, access: { dataId, ticket: "t" }, bytesMost, signal })
  return readFileSync(to)
}

test("what is sent comes back, with its holes, over parts and to its last odd byte", async () => {
  const store = new MemoryBackups()
  const sizeBytes = 1_030 * chunkBytes + 17
  const data = Buffer.alloc(sizeBytes)
  data.write("first", 0)
  data.write("in the second part", 1_025 * chunkBytes + 3)
  data.write("end", sizeBytes - 3)
  writeFileSync(path, data)
  const id = newUuid()
  await send(store, id)
  const backup = store.backups.get(id)
  assert.deepEqual([...(backup?.chunks.keys() ?? [])].sort(), [0, 1_025, 1_030].sort(), "zeros are not sent")
  assert.equal(backup?.chunks.get(1_030)?.length, 17)
  assert.deepEqual(backup?.whole, { sizeBytes, chunkBytes })
  assert.deepEqual(await fetched(store, id), data)
})

test("how far it is is told in tenths, each once, and what is not sent is passed over", async () => {
  const store = new MemoryBackups()
  const data = Buffer.alloc(1_000 * chunkBytes, "x")
  data.fill(0, 300 * chunkBytes, 600 * chunkBytes)
  writeFileSync(path, data)
  const told: number[] = []
  const access = { dataId: newUuid(), ticket: "t" }
  await sendFile(path, { store, access, chunkBytes, signal, tell: (percent) => told.push(percent) })
  assert.deepEqual(told, [10, 20, 30, 60, 70, 80, 90, 100])
})

test("a later one has what differs, and comes back whole", async () => {
  const store = new MemoryBackups()
  const data = Buffer.alloc(10 * chunkBytes, "x")
  writeFileSync(path, data)
  const [first, second] = [newUuid(), newUuid()]
  await send(store, first)
  data.write("changed", 3 * chunkBytes)
  data.fill(0, 5 * chunkBytes, 6 * chunkBytes)
  writeFileSync(path, data)
  store.parents.set(second, first)
  await send(store, second)
  assert.deepEqual([...(store.backups.get(second)?.chunks.keys() ?? [])], [3], "nor what is zeros now")
  assert.deepEqual(await fetched(store, second), data)
})

test("a chunk that was changed in the store, or cut, is refused", async () => {
  const store = new MemoryBackups()
  writeFileSync(path, Buffer.alloc(2 * chunkBytes, "x"))
  const id = newUuid()
  await send(store, id)
  const chunks = store.backups.get(id)?.chunks
  for (const evil of [Buffer.alloc(chunkBytes, "y"), Buffer.alloc(chunkBytes - 1, "x"), Buffer.alloc(0)]) {
    chunks?.set(1, evil)
    await assert.rejects(fetched(store, id), { code: "agent.backup.damaged" })
  }
})

test("the first failure ends all, and is told", async () => {
  const store = new MemoryBackups()
  writeFileSync(path, Buffer.alloc(20 * chunkBytes, "x"))
  const id = newUuid()
  let begun = 0
  store.beforePut = async () => {
    if (++begun === 2) throw new Error("no room")
  }
  await assert.rejects(send(store, id), /no room/)
  assert.ok(begun < 8, `${begun} were begun`)
  assert.equal(store.backups.get(id)?.whole, null)
})

test("what the store cannot answer now is asked again, for a while", async () => {
  const store = new MemoryBackups()
  writeFileSync(path, Buffer.alloc(3 * chunkBytes, "x"))
  const access = { dataId: newUuid(), ticket: "t" }
  let broken = 0
  store.beforePut = async () => {
    if (++broken <= 2) throw new Fault("unavailable", "test.away", "it is away")
  }
  await sendFile(path, { store, access, chunkBytes, signal, pausesMs: [1, 1, 1] })
  assert.equal(store.backups.get(access.dataId)?.chunks.size, 3)
  store.beforePut = async () => {
    throw new Fault("unavailable", "test.away", "it is away")
  }
  await assert.rejects(sendFile(path, { store, access, chunkBytes, signal, pausesMs: [1, 1] }), /it is away/)
})

test("a large file takes no more memory than a small one", async () => {
  const store = new MemoryBackups()
  const sizeBytes = 512 * 1024 ** 2
  await using file = await open(path, "w")
  await file.truncate(sizeBytes)
  await file.write("beginning", 0)
  await file.write("end", sizeBytes - 3)
  const id = newUuid()
  const before = process.memoryUsage().arrayBuffers
  const access = { dataId: id, ticket: "t" }
  await sendFile(path, { store, access, chunkBytes: 4 * 1024 ** 2, signal })
  const more = process.memoryUsage().arrayBuffers - before
  assert.ok(more < 40 * 1024 ** 2, `${more} bytes more`)
  const to = join(dir, id)
  writeFileSync(to, "")
  await fetchFile(to, { store, access, bytesMost, signal })
  assert.equal(statSync(to).size, sizeBytes)
  assert.ok(statSync(to).blocks * 512 < 16 * 1024 ** 2, "holes stay holes")
  await using back = await open(to)
  const { buffer } = await back.read(Buffer.alloc(9), 0, 9, 0)
  assert.equal(
    createHash("md5").update(buffer).digest("hex"),
    createHash("md5").update("beginning").digest("hex"),
  )
})

test("a backup that is larger than its volume is refused before anything of it is written", async () => {
  const { store, to } = { store: new MemoryBackups(), to: join(dir, "small") }
  writeFileSync(to, "")
  const access = { dataId: newUuid(), ticket: "t" }
  const from = join(dir, "large")
  writeFileSync(from, Buffer.alloc(4_096, 1))
  await sendFile(from, { store, access, chunkBytes: 1_024, signal })
  await assert.rejects(fetchFile(to, { store, access, bytesMost: 4_095, signal }), {
    code: "agent.backup.too_large",
  })
  assert.equal(readFileSync(to).length, 0)
})
