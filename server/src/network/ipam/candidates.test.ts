import assert from "node:assert/strict"
import { test } from "node:test"
import { addressCandidates, type Random } from "./candidates.ts"

/** As random as a test may be: the same each time. */
function seeded(): Random {
  let state = 1
  return (below) => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

test("all of a small pool is tried, in no order", () => {
  const tried = addressCandidates([{ start: "10.0.0.2", end: "10.0.0.21" }], seeded())
  const all = Array.from({ length: 20 }, (_, i) => `10.0.0.${i + 2}`)
  assert.notDeepEqual(tried, all)
  assert.deepEqual(new Set(tried), new Set(all))
  assert.equal(tried.length, 20)
})

test("the lowest of all pools come first, then some of ever wider ranges", () => {
  const pools = [
    { start: "10.0.9.0", end: "10.0.255.254" },
    { start: "10.0.0.2", end: "10.0.0.11" },
  ]
  const tried = addressCandidates(pools, seeded())
  const first = tried.slice(0, 64)
  const lowest = [
    ...Array.from({ length: 10 }, (_, i) => `10.0.0.${i + 2}`),
    ...Array.from({ length: 54 }, (_, i) => `10.0.9.${i}`),
  ]
  assert.deepEqual(new Set(first), new Set(lowest))
  assert.equal(new Set(tried).size, tried.length)
  const size = 10 + (255 - 9) * 256 + 255
  const ranges = Math.ceil(Math.log2(size / 64))
  assert.ok(tried.length <= 64 + 8 * ranges && tried.length > 64 + 6 * ranges, `${tried.length} are tried`)
  assert.match(tried[64 + 4] ?? "", /^10\.0\.9\.(5[4-9]|[6-9]\d|1[01]\d)$/)
})

test("a pool of IPv6 addresses has no end, and the tries have", () => {
  const tried = addressCandidates([{ start: "2001:db8::2", end: "2001:db8::ffff:ffff:ffff:ffff" }], seeded())
  assert.ok(tried.length > 150 && tried.length < 250, `${tried.length} are tried`)
  assert.ok(tried.includes("2001:db8::2"))
})

test("no pool, no candidate", () => {
  assert.deepEqual(addressCandidates([], seeded()), [])
})
