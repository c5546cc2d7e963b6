import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { hashPassword, verifyPassword } from "./hash.ts"
import { createHashThreads } from "./hash-threads.ts"
import { createHasher } from "./hasher.ts"

const derive = createHashThreads()
const cheap = { ln: 4, r: 8, p: 1 }

test("verifies what passlib made", async () => {
  // From passlib's documentation of its scrypt hash.
  const encoded = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
  assert.equal(await verifyPassword("password", encoded, derive), true)
  assert.equal(await verifyPassword("Password", encoded, derive), false)
})

test("each hash has its own salt and its cost in it", async () => {
  const [first, second] = [
    await hashPassword("pässword", cheap, derive),
    await hashPassword("pässword", cheap, derive),
  ]
  assert.notEqual(first, second)
  assert.match(first, /^\$scrypt\$ln=4,r=8,p=1\$[^$]{22}\$[^$]{43}$/)
  assert.equal(await verifyPassword("pässword", first, derive), true)
  assert.equal(await verifyPassword("pässword", "not a hash", derive), false)
})

test("waiting logins are bounded, and all that wait are served", async () => {
  const hasher = createHasher({ derive, cost: { ln: 8, r: 8, p: 1 }, concurrency: 1, queueMax: 3 })
  const attempts = Array.from({ length: 6 }, () => hasher.hash("x").then(String, (error: unknown) => error))
  const results = await Promise.all(attempts)
  const refusals = results.filter((r) => r instanceof Fault)
  assert.equal(refusals.length, 2)
  assert.ok(refusals.every((fault) => fault.kind === "unavailable" && fault.retryAfterMs))
  assert.equal(await hasher.verify("x", String(results[0])), true)
})

test("a user who is not there costs the same as one who is", async () => {
  const hasher = createHasher({ derive, cost: { ln: 13, r: 8, p: 1 }, concurrency: 1, queueMax: 8 })
  const encoded = await hasher.hash("right")
  await hasher.verify("x", null) // the decoy is made at its first use
  const timeOf = async (work: () => Promise<unknown>) => {
    const startMs = performance.now()
    for (let i = 0; i < 5; i++) await work()
    return performance.now() - startMs
  }
  const known = await timeOf(() => hasher.verify("wrong", encoded))
  const unknown = await timeOf(() => hasher.verify("wrong", null))
  // A lookup that skipped the hash would be a hundred times faster.
  assert.ok(unknown > known / 4 && unknown < known * 4, `${known} ms and ${unknown} ms`)
  assert.equal(await hasher.verify("no such user has this", null), false)
})
