import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { test } from "node:test"
import { openStreamHash } from "./stream-hash.ts"

const sumsOf = (bytes: Uint8Array) =>
  ["md5", "sha512"].map((name) => createHash(name).update(bytes).digest("hex"))

async function sumsByThread(bytes: Uint8Array, chunkBytes: number): Promise<string[]> {
  using hash = openStreamHash(["md5", "sha512"])
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes))
    await hash.update(chunk)
    // It was copied: whoever reads into the same buffer again changes nothing.
    chunk.fill(0)
  }
  return await hash.digests()
}

test("sums are those of the bytes, whatever the size of the chunks", async () => {
  const bytes = randomBytes(3_000_001)
  for (const chunkBytes of [1_000, 65_536, 262_144, 4_000_000])
    assert.deepEqual(await sumsByThread(bytes, chunkBytes), sumsOf(bytes), String(chunkBytes))
  assert.deepEqual(await sumsByThread(new Uint8Array(), 1), sumsOf(new Uint8Array()))
})

test("many streams at once share few threads, and one that is dropped disturbs none", async () => {
  const all = Array.from({ length: 12 }, () => randomBytes(1_500_000))
  {
    using dropped = openStreamHash(["md5"])
    await dropped.update(randomBytes(600_000))
  }
  const sums = await Promise.all(all.map((bytes) => sumsByThread(bytes, 65_536)))
  assert.deepEqual(sums, all.map(sumsOf))
})

test("an algorithm that there is not fails the stream and not the process", async () => {
  await assert.rejects(async () => {
    using hash = openStreamHash(["no-such-sum"])
    await hash.update(new Uint8Array(10))
    await hash.digests()
  }, /Digest method not supported|no-such-sum|ended/)
  assert.deepEqual(await sumsByThread(Buffer.from("a"), 1), sumsOf(Buffer.from("a")))
})
