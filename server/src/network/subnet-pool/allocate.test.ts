import assert from "node:assert/strict"
import { test } from "node:test"
import { formatPrefix, parsePrefix } from "../../platform/net/address.ts"
import { choosePrefix } from "./allocate.ts"
import { mergePrefixes } from "./subnet-pool.ts"

const pool = {
  prefixes: ["10.0.0.0/22"],
  ipVersion: 4 as const,
  defaultPrefixLength: 24,
  minPrefixLength: 8,
  maxPrefixLength: 30,
}
const used = (...texts: string[]) => texts.flatMap((text) => parsePrefix(text) ?? [])

test("the lowest free prefix of the asked length is chosen", () => {
  assert.equal(formatPrefix(choosePrefix(pool, [], {})), "10.0.0.0/24")
  assert.equal(formatPrefix(choosePrefix(pool, used("10.0.0.0/26"), {})), "10.0.1.0/24")
  assert.equal(formatPrefix(choosePrefix(pool, used("10.0.0.0/26"), { prefixlen: 26 })), "10.0.0.64/26")
  assert.equal(
    formatPrefix(choosePrefix(pool, used("10.0.0.0/25", "10.0.2.0/24"), { prefixlen: 25 })),
    "10.0.0.128/25",
  )
  assert.throws(() => choosePrefix(pool, used("10.0.2.0/30"), { prefixlen: 22 }), /Insufficient prefix space/)
  assert.throws(() => choosePrefix(pool, [], { prefixlen: 31 }), /maximum allowed prefix is 30/)
  assert.throws(() => choosePrefix(pool, [], { cidr: "10.0.4.0/24" }), /from the available set/)
})

test("prefixes of a pool are joined where they meet", () => {
  assert.deepEqual(mergePrefixes(["10.0.1.0/24", "10.0.0.0/24", "10.0.0.128/25"]).prefixes, ["10.0.0.0/23"])
  assert.deepEqual(mergePrefixes(["10.0.1.0/24", "10.0.2.0/24"]).prefixes, ["10.0.1.0/24", "10.0.2.0/24"])
  assert.throws(() => mergePrefixes(["10.0.0.0/24", "2001:db8::/64"]), /Cannot mix/)
  assert.throws(() => mergePrefixes([]), /Empty/)
})
