import assert from "node:assert/strict"
import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { Clock } from "../../platform/clock/clock.ts"
import { openKeyRing } from "./key-ring.ts"

/** Time that a test moves on. */
function movableClock(): Clock & { passMs(ms: number): void } {
  let offsetMs = 0
  return {
    now: () => new Date(Date.now() + offsetMs),
    monotonicMs: () => performance.now() + offsetMs,
    sleep: async () => {},
    passMs: (ms) => {
      offsetMs += ms
    },
  }
}

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "kumoi-key-ring-"))
  try {
    await run(join(root, "identity", "fernet-keys"))
  } finally {
    await rm(root, { recursive: true })
  }
}

const payload = Buffer.from("claims")

test("keys are made once, for nobody else to read", async () => {
  await withDirectory(async (directory) => {
    const clock = movableClock()
    const ring = await openKeyRing({ directory, clock, messageLifetimeMs: 1_000 })
    assert.deepEqual((await readdir(directory)).sort(), ["0", "1"])
    assert.equal((await stat(directory)).mode & 0o777, 0o700)
    for (const name of ["0", "1"]) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600)
    const again = await openKeyRing({ directory, clock, messageLifetimeMs: 1_000 })
    assert.deepEqual(again.decrypt(ring.encrypt(payload, 1))?.payload, payload)
  })
})

test("processes that start together end up with one set of keys", async () => {
  await withDirectory(async (directory) => {
    const options = { directory, clock: movableClock(), messageLifetimeMs: 1_000 }
    const rings = await Promise.all(Array.from({ length: 6 }, () => openKeyRing(options)))
    const messages = rings.map((ring) => ring.encrypt(payload, 1))
    for (const ring of rings) for (const message of messages) assert.ok(ring.decrypt(message))
    assert.deepEqual((await readdir(directory)).sort(), ["0", "1"])
  })
})

test("rotation keeps messages good for as long as they may live, and drops the key then", async () => {
  await withDirectory(async (directory) => {
    const clock = movableClock()
    const ring = await openKeyRing({ directory, clock, messageLifetimeMs: 60_000 })
    const before = ring.encrypt(payload, 1)
    await ring.rotate()
    await ring.rotate()
    assert.deepEqual((await readdir(directory)).sort(), ["0", "1", "2", "3"])
    assert.deepEqual(ring.decrypt(before)?.payload, payload)
    clock.passMs(120_000)
    await ring.rotate()
    assert.deepEqual((await readdir(directory)).sort(), ["0", "3", "4"])
    assert.equal(ring.decrypt(before), null)
  })
})

test("another process learns of a new key when it meets it", async () => {
  await withDirectory(async (directory) => {
    const clock = movableClock()
    const options = { directory, clock, messageLifetimeMs: 60_000 }
    const here = await openKeyRing(options)
    const there = await openKeyRing(options)
    await here.rotate()
    // The staged key was there all the time.
    assert.ok(there.decrypt(here.encrypt(payload, 1)))
    await here.rotate()
    clock.passMs(2_000)
    assert.ok(there.decrypt(here.encrypt(payload, 1)))
  })
})
