import assert from "node:assert/strict"
import { test } from "node:test"
import {
  addressOfEnd,
  canonicalAddress,
  canonicalMac,
  eui64Address,
  formatPrefix,
  hostRange,
  parsePrefix,
  prefixContains,
  prefixesOverlap,
} from "./address.ts"

const prefix = (text: string) => {
  const found = parsePrefix(text)
  assert.ok(found, text)
  return found
}

test("addresses have one canonical text", () => {
  assert.equal(canonicalAddress("10.0.0.1"), "10.0.0.1")
  assert.equal(canonicalAddress("2001:DB8:0:0:0:0:0:1"), "2001:db8::1")
  assert.equal(canonicalAddress("::"), "::")
  assert.equal(canonicalAddress("1:0:0:2:0:0:0:3"), "1:0:0:2::3")
  assert.equal(canonicalAddress("::ffff:10.0.0.1"), "::ffff:a00:1")
  assert.equal(canonicalAddress("fe80:0:1:0:1:0:1:0"), "fe80:0:1:0:1:0:1:0")
  for (const wrong of ["10.0.0", "10.0.0.256", "010.0.0.1", "1::2::3", "12345::", "", "1:2:3:4:5:6:7"])
    assert.equal(canonicalAddress(wrong), undefined, wrong)
})

test("the address of a connection's end is what others call it", () => {
  assert.equal(addressOfEnd("::ffff:10.0.0.1"), "10.0.0.1")
  assert.equal(addressOfEnd("FE80::1%eth0"), "fe80::1")
  assert.equal(addressOfEnd(""), undefined)
})

test("prefixes lose their host bits and know their bounds", () => {
  assert.equal(formatPrefix(prefix("10.1.2.3/24")), "10.1.2.0/24")
  assert.equal(formatPrefix(prefix("2001:db8::1")), "2001:db8::1/128")
  assert.equal(parsePrefix("10.0.0.0/33"), undefined)
  assert.equal(parsePrefix("10.0.0.0/x"), undefined)
  assert.deepEqual(hostRange(prefix("10.0.0.0/30")), { first: 0x0a000001n, last: 0x0a000002n })
  assert.deepEqual(hostRange(prefix("10.0.0.0/31")), { first: 0x0a000000n, last: 0x0a000001n })
  assert.ok(prefixContains(prefix("10.0.0.0/30"), { version: 4, value: 0x0a000003n }))
  assert.ok(!prefixContains(prefix("10.0.0.0/30"), { version: 4, value: 0x0a000004n }))
  assert.ok(prefixesOverlap(prefix("10.0.0.0/24"), prefix("10.0.0.128/25")))
  assert.ok(!prefixesOverlap(prefix("10.0.0.0/25"), prefix("10.0.0.128/25")))
})

test("a machine's own address follows from its MAC address", () => {
  assert.equal(
    eui64Address(prefix("2001:db8:1::/64"), "fa:16:3e:b3:61:a3"),
    "2001:db8:1:0:f816:3eff:feb3:61a3",
  )
  assert.equal(canonicalMac("FA-16-3E-00-00-01"), "fa:16:3e:00:00:01")
  assert.equal(canonicalMac("fa:16:3e:00:00"), undefined)
})
