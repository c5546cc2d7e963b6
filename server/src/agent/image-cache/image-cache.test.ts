import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { after, test } from "node:test"
import { setImmediate as immediate } from "node:timers/promises"
import { systemClock } from "../../platform/clock/clock.ts"
import { exec } from "../../platform/exec/exec.ts"
import { fault } from "../../platform/fault/fault.ts"
import { silentLogger } from "../../platform/log/log.ts"
import { agentCacheFull, agentImageChecksumWrong, agentImageMissing, agentImageRefused } from "../faults.ts"
import { createImageCache, type ImagesInUse, imageKey } from "./image-cache.ts"
import type { ImageStore } from "./image-store.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-images-"))
after(() => rmSync(root, { recursive: true }))
let count = 0
const mib = 1024 * 1024
const none = () => new Set<string>()

function cacheOver(
  source: ImageStore["open"],
  limitBytes = 64 * mib,
  dir = join(root, `cache${++count}`),
  signal?: AbortSignal,
) {
  return {
    dir,
    cache: createImageCache({
      dir,
      source: { open: source },
      limitBytes,
      clock: systemClock,
      log: silentLogger,
      pausesMs: [1, 1],
      idleMs: 1_000,
      ...(signal ? { signal } : {}),
    }),
  }
}

function sum(data: Uint8Array, algorithm = "md5"): string {
  return createHash(algorithm).update(data).digest("hex")
}

function stored(data: Uint8Array): string {
  const path = join(root, `image${++count}`)
  writeFileSync(path, data)
  return path
}

const request = (data: Uint8Array, diskFormat = "raw", algorithm = "md5") => ({
  imageId: "i1",
  checksum: sum(data, algorithm),
  diskFormat,
})

async function made(format: string, options: string[] = []): Promise<Buffer> {
  const path = join(root, `made${++count}.${format}`)
  await exec("qemu-img", ["create", "-q", "-f", format, ...options, path, "16M"])
  return readFileSync(path)
}

test("a local image is linked, fetched once, and known to the next cache", async () => {
  const data = Buffer.alloc(mib, "kumoi")
  const path = stored(data)
  let opened = 0
  const open = async () => {
    opened++
    return { path }
  }
  const { cache, dir } = cacheOver(open)
  const [a, b] = await Promise.all([
    cache.ensureImage(request(data), none),
    cache.ensureImage(request(data), none),
  ])
  assert.deepEqual(a, b)
  assert.deepEqual([a.format, a.virtualSizeBytes, opened], ["raw", mib, 1])
  assert.equal(statSync(a.path).ino, statSync(path).ino)
  rmSync(path)
  const next = cacheOver(open, 64 * mib, dir)
  assert.deepEqual(readFileSync((await next.cache.ensureImage(request(data), none)).path), data)
  assert.equal(opened, 1)
})

test("it tells what it has, also after a restart, and gives up what nobody uses", async () => {
  const [first, second] = [Buffer.alloc(mib, "first"), Buffer.alloc(mib, "second")]
  const paths = new Map([first, second].map((data) => [sum(data), stored(data)]))
  const of = (data: Buffer) => ({ ...request(data), imageId: sum(data) })
  const open = async (imageId: string) => ({ path: paths.get(imageId) ?? "" })
  const { cache, dir } = cacheOver(open)
  for (const data of [first, second]) await cache.ensureImage(of(data), none)
  await cache.ensureImage(of(second), none)
  const told = cache.list()
  assert.ok((told[1]?.usedAt ?? "") >= (told[1]?.cachedAt ?? "?"))
  assert.deepEqual(
    told.map(({ checksum, diskFormat, sizeBytes, hits }) => ({ checksum, diskFormat, sizeBytes, hits })),
    [
      { checksum: sum(first), diskFormat: "raw", sizeBytes: mib, hits: 0 },
      { checksum: sum(second), diskFormat: "raw", sizeBytes: mib, hits: 1 },
    ],
  )
  assert.equal(await cache.remove(of(second), () => new Set([imageKey(of(second))])), "in_use")
  const { cache: again } = cacheOver(open, undefined, dir)
  // How often and when last is written down now and then.
  assert.deepEqual(
    again.list().map(({ checksum, cachedAt }) => ({ checksum, cachedAt })),
    told.map(({ checksum, cachedAt }) => ({ checksum, cachedAt })),
  )
  assert.equal(await again.remove(of(second), none), "removed")
  assert.equal(await again.remove(of(second), none), "absent")
  assert.equal(readdirSync(dir).filter((name) => name.startsWith(sum(second))).length, 0)
})

test("a local image of another checksum is no entry, and harms nobody who names that checksum", async () => {
  const [evil, good] = [Buffer.alloc(mib, "evil"), Buffer.alloc(mib, "good")]
  for (const checksum of [undefined, null, sum(evil)]) {
    let current = evil
    const known = () => (checksum === undefined ? {} : { checksum: checksum && sum(current) })
    const { cache, dir } = cacheOver(async () => ({ path: stored(current), ...known() }))
    await assert.rejects(cache.ensureImage(request(good), none), agentImageChecksumWrong.is)
    assert.deepEqual(readdirSync(dir), [])
    current = good
    assert.deepEqual(readFileSync((await cache.ensureImage(request(good), none)).path), good)
  }
})

test("a stream is checked against its checksum of any kind, and a wrong one leaves nothing", async () => {
  const data = Buffer.alloc(mib, "stream")
  for (const algorithm of ["md5", "sha256", "sha512"]) {
    const { cache } = cacheOver(async () => ({ stream: Readable.from([data]), sizeBytes: null }))
    const image = await cache.ensureImage(request(data, "raw", algorithm), none)
    assert.deepEqual(readFileSync(image.path), data)
  }
  const { cache, dir } = cacheOver(async () => ({
    stream: Readable.from([data.subarray(1)]),
    sizeBytes: null,
  }))
  await assert.rejects(cache.ensureImage(request(data), none), agentImageChecksumWrong.is)
  assert.deepEqual(readdirSync(dir), [])
  const bad = { ...request(data), checksum: "../../../etc/passwd" }
  await assert.rejects(cache.ensureImage(bad, none), agentImageChecksumWrong.is)
})

/** A stream of the data from `offset` on that breaks after so many bytes: with an error, or as if they were all. */
function broken(data: Buffer, offset: number, length: number, how: "error" | "end"): Readable {
  return Readable.from(
    (async function* () {
      yield data.subarray(offset, offset + length)
      // What is not read yet goes with the stream.
      await immediate()
      if (how === "error") throw new Error("the line is down")
    })(),
  )
}

for (const how of ["error", "end"] as const) {
  test(`a stream that breaks (${how}) is taken up where it broke, with the ticket`, async () => {
    const data = Buffer.from(Array.from({ length: 5 * mib }, (_, i) => i % 251))
    const asked: (string | number)[][] = []
    const { cache } = cacheOver(async (imageId, ticket, { offset }) => {
      asked.push([imageId, ticket, offset])
      // More breaks than may come one after the other without progress.
      if (asked.length % 2 === 0) throw new Error("not now")
      return { stream: broken(data, offset, mib + 1, how), sizeBytes: data.length }
    })
    const image = await cache.ensureImage({ ...request(data), ticket: "t" }, none)
    assert.deepEqual(readFileSync(image.path), data)
    const offsets = [0, 1, 1, 2, 2, 3, 3, 4, 4].map((tries) => tries * (mib + 1))
    assert.deepEqual(
      asked,
      offsets.map((offset) => ["i1", "t", offset]),
    )
  })
}

test("a stream that brings nothing any more is given up, and so is one that the store refuses", async () => {
  const data = Buffer.alloc(mib, "x")
  let asked = 0
  const { cache, dir } = cacheOver(async (_id, _ticket, { offset }) => {
    asked++
    return { stream: broken(data, offset, asked === 1 ? 1000 : 1, "error"), sizeBytes: data.length }
  })
  await assert.rejects(cache.ensureImage(request(data), none), agentImageMissing.is)
  assert.equal(asked, 3)
  const refused = cacheOver(async (_id, _ticket, { offset }) => {
    asked++
    if (offset > 0) throw fault("forbidden", "test.refused", () => "no")()
    return { stream: broken(data, offset, 1000, "error"), sizeBytes: data.length }
  })
  asked = 0
  await assert.rejects(refused.cache.ensureImage(request(data), none), agentImageMissing.is)
  assert.equal(asked, 2)
  assert.deepEqual([...readdirSync(dir), ...readdirSync(refused.dir)], [])
})

test("a stream that is silent is broken, and the next one goes on", async () => {
  const data = Buffer.alloc(mib, "y")
  const { cache } = cacheOver(async (_id, _ticket, { offset }) => {
    const stream = offset === 0 ? new Readable({ read: () => {} }) : Readable.from([data.subarray(offset)])
    if (offset === 0) stream.push(data.subarray(0, 10))
    return { stream, sizeBytes: data.length }
  })
  assert.deepEqual(readFileSync((await cache.ensureImage(request(data), none)).path), data)
})

test("what is being fetched ends with the agent", async () => {
  const stop = new AbortController()
  const open: ImageStore["open"] = async (_id, _ticket, { signal }) => {
    const stream = new Readable({ read: () => {} })
    signal?.addEventListener("abort", () => stream.destroy(new Error("stopped")))
    setImmediate(() => stop.abort())
    return { stream, sizeBytes: mib }
  }
  const { cache, dir } = cacheOver(open, mib, undefined, stop.signal)
  await assert.rejects(cache.ensureImage(request(Buffer.alloc(mib)), none))
  assert.deepEqual(readdirSync(dir), [])
})

test("a source that cannot open the image is named as such, and asked again the next time", async () => {
  const data = Buffer.alloc(mib)
  const path = stored(data)
  let isBroken = true
  const { cache } = cacheOver(async () => {
    if (isBroken) throw new Error("away")
    return { path }
  })
  await assert.rejects(cache.ensureImage(request(data), none), agentImageMissing.is)
  isBroken = false
  await cache.ensureImage(request(data), none)
})

test("every accepted format becomes raw or qcow2", async () => {
  for (const [format, name] of [
    ["qcow2", "qcow2"],
    ["vmdk", "vmdk"],
    ["vdi", "vdi"],
    ["vpc", "vhd"],
    ["vhdx", "vhdx"],
  ]) {
    const data = await made(format ?? "", format === "vmdk" ? ["-o", "subformat=monolithicSparse"] : [])
    const { cache } = cacheOver(async () => ({ path: stored(data) }))
    const image = await cache.ensureImage(request(data, name), none)
    assert.equal(image.format, "qcow2")
    await exec("qemu-img", ["check", "-q", "-f", "qcow2", image.path])
    assert.ok(image.virtualSizeBytes >= 16 * mib, `${name}: ${image.virtualSizeBytes}`)
  }
})

test("images that would reach other files of the host are refused", async () => {
  const backing = stored(Buffer.alloc(mib, "secret"))
  const refused: [string, Buffer, RegExp][] = [
    ["qcow2", await made("qcow2", ["-b", backing, "-F", "raw"]), /backing file/],
    [
      "qcow2",
      await made("qcow2", ["-o", `data_file=${join(root, "outside.raw")},data_file_raw=on`]),
      /another file/,
    ],
    ["raw", await made("qcow2"), /declared as raw and is qcow2/],
    ["iso", await made("qcow2"), /declared as iso and is qcow2/],
    ["qcow2", Buffer.alloc(mib), /declared as qcow2 and is plain data/],
    ["iso", Buffer.alloc(mib), /declared as iso and is none/],
    ["vmdk", Buffer.from("# Disk DescriptorFile\nversion=1\n".padEnd(1024)), /vmdk-descriptor/],
    ["vmdk", await made("vmdk", ["-o", "subformat=monolithicFlat"]), /vmdk-descriptor/],
    ["ploop", Buffer.alloc(mib), /disk format "ploop"/],
    ["qcow2", Buffer.concat([Buffer.from("QFI\xfb", "latin1"), Buffer.alloc(mib, 0xff)]), /cannot be used/],
  ]
  for (const [format, data, why] of refused) {
    const { cache, dir } = cacheOver(async () => ({ path: stored(data) }))
    await assert.rejects(cache.ensureImage(request(data, format), none), (error) => {
      assert.ok(agentImageRefused.is(error), String(error))
      assert.match(error.message, why)
      return true
    })
    assert.deepEqual(readdirSync(dir), [])
  }
})

test("what is not used goes first when room is needed, and what is used stays", async () => {
  const [a, b, c] = ["a", "b", "c"].map((text) => Buffer.alloc(4 * mib, text))
  assert.ok(a && b && c)
  let current: Buffer = a
  const { cache, dir } = cacheOver(
    async () => ({ stream: Readable.from([current]), sizeBytes: null }),
    9 * mib,
  )
  const get = async (data: Buffer, inUse: ImagesInUse) => {
    current = data
    return await cache.ensureImage(request(data), inUse)
  }
  await get(a, none)
  await get(b, none)
  const used = () => new Set([imageKey(request(a))])
  await get(c, used)
  const keys = () => readdirSync(dir).filter((name) => name.endsWith(".raw")).length
  assert.equal(keys(), 2)
  assert.deepEqual(readFileSync((await get(a, used)).path), a)
  const all = () => new Set([a, c].map((data) => imageKey(request(data))))
  await assert.rejects(get(b, all), agentCacheFull.is)
  assert.equal(keys(), 2)
})

test("what somebody begins to use while another image is on its way stays as well", async () => {
  const [old, next] = [Buffer.alloc(4 * mib, "a"), Buffer.alloc(4 * mib, "b")]
  const used = new Set<string>()
  let current = old
  const { cache } = cacheOver(async () => {
    if (current === next) used.add(imageKey(request(old)))
    return { stream: Readable.from([current]), sizeBytes: null }
  }, 6 * mib)
  const { path } = await cache.ensureImage(request(old), () => used)
  current = next
  await assert.rejects(
    cache.ensureImage(request(next), () => used),
    agentCacheFull.is,
  )
  assert.deepEqual(readFileSync(path), old)
})

test("what a crash left half done is removed at the start", async () => {
  const dir = join(root, `cache${++count}`)
  cacheOver(async () => ({ path: "/none" }), mib, dir)
  writeFileSync(join(dir, `${"0".repeat(32)}-raw.1.tmp`), "half")
  writeFileSync(join(dir, `${"0".repeat(32)}-raw.raw`), "without its json")
  cacheOver(async () => ({ path: "/none" }), mib, dir)
  assert.deepEqual(readdirSync(dir), [])
})
