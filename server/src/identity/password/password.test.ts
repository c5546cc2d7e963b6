import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../../platform/fault/fault.ts"
import { type Derive, hashPassword, verifyPassword } from "./hash.ts"
import type { HashJob } from "./hash-thread.ts"
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
  const asked: Omit<HashJob, "password" | "salt">[] = []
  const noted: Derive = async ({ password, salt, ...cost }) => {
    asked.push(cost)
    return await derive({ password, salt, ...cost })
  }
  const hasher = createHasher({ derive: noted, cost: cheap, concurrency: 1, queueMax: 8 })
  const encoded = await hasher.hash("right")
  await hasher.verify("x", null) // the decoy is made at its first use
  const workOf = async (hash: string | null) => {
    asked.length = 0
    assert.equal(await hasher.verify("no such user has this", hash), false)
    return [...asked]
  }
  const known = await workOf(encoded)
  assert.equal(known.length, 1)
  assert.deepEqual(await workOf(null), known)
})
