import assert from "node:assert/strict"
import { test } from "node:test"
import { systemClock } from "../../platform/clock/clock.ts"
import { newFernetKeyText } from "./fernet.ts"
import { createKeyRing } from "./key-ring.ts"
import { seal, unseal } from "./key-secret.ts"
import type { StoredKey } from "./store.ts"

const payload = Buffer.from("claims")
const at = new Date(0)

function key(number: number, primaryAt: Date | null, text = newFernetKeyText()): StoredKey {
  return { ring: "token", number, text, createdAt: at, primaryAt }
}

test("the highest key that is not staged signs; all of them open", () => {
  const texts = [newFernetKeyText(), newFernetKeyText(), newFernetKeyText()]
  const ring = createKeyRing(systemClock, async () => {})
  const [first = "", second = "", third = ""] = texts
  ring.load([key(1, at, first), key(2, null, second)])
  const old = ring.encrypt(payload, 1)
  ring.load([key(1, at, first), key(2, at, second), key(3, null, third)])
  const present = ring.encrypt(payload, 1)
  assert.deepEqual(ring.decrypt(old)?.payload, payload)
  assert.ok(ring.isOutdated(old))
  assert.ok(!ring.isOutdated(present))
  ring.load([key(2, at, second), key(3, null, third)])
  assert.equal(ring.decrypt(old), null)
  assert.deepEqual(ring.decrypt(present)?.payload, payload)
})

test("a message that nothing opens makes it look for new keys, but not each time", async () => {
  let nowMs = 0
  let looks = 0
  const fresh = key(3, at)
  const clock = { ...systemClock, monotonicMs: () => nowMs }
  const ring = createKeyRing(clock, async () => {
    looks++
    ring.load([fresh])
  })
  ring.load([key(1, at), key(2, null)])
  const elsewhere = createKeyRing(systemClock, async () => {})
  elsewhere.load([fresh])
  const message = elsewhere.encrypt(payload, 1)
  assert.equal(ring.decrypt(message), null)
  assert.deepEqual((await ring.decryptLate(message))?.payload, payload)
  assert.equal(await ring.decryptLate("gAAAAnonsense"), null)
  assert.equal(looks, 1)
  nowMs += 1_000
  assert.equal(await ring.decryptLate("not even the form"), null)
  assert.equal(await ring.decryptLate("gAAAAnonsense"), null)
  assert.equal(looks, 2)
})

test("a sealed key opens with its secret, in its place, unchanged", () => {
  const secret = Buffer.alloc(32, 1)
  const sealed = seal(secret, "token/1", "the key")
  assert.equal(unseal(secret, "token/1", sealed), "the key")
  assert.equal(unseal(Buffer.alloc(32, 2), "token/1", sealed), null)
  assert.equal(unseal(secret, "token/2", sealed), null)
  const bytes = Buffer.from(sealed, "base64url")
  bytes[14] = (bytes[14] ?? 0) ^ 1
  assert.equal(unseal(secret, "token/1", bytes.toString("base64url")), null)
  assert.equal(unseal(secret, "token/1", "short"), null)
})
