import assert from "node:assert/strict"
import { test } from "node:test"
import { isPublicAddress, readRanges } from "./ranges.ts"

test("ranges have what lies in them, in every notation", () => {
  const ranges = readRanges(["10.1.0.0/16", "fd00::/8", "192.0.2.7"], "test")
  for (const address of [
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "::ffff:a01:203",
    "fd12::1",
    "fd12::1%eth0",
    "192.0.2.7",
  ])
    assert.equal(ranges.has(address), true, address)
  for (const address of ["10.2.0.1", "fe80::1", "192.0.2.8", "", "localhost"])
    assert.equal(ranges.has(address), false, address)
  assert.equal(readRanges([], "test").has("10.1.2.3"), false)
})

test("what is no CIDR is refused with the setting's name", () => {
  for (const wrong of ["10.0.0.0/33", "fd00::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "all", ""])
    assert.throws(
      () => readRanges([wrong], "image.webDownloadCidrs"),
      /image\.webDownloadCidrs.*no CIDR/,
      wrong,
    )
})

test("public is what everybody can reach", () => {
  for (const address of [
    "8.8.8.8",
    "151.101.2.132",
    "172.32.0.1",
    "100.128.0.1",
    "2a04:4e42::644",
    "2606:4700::1111",
  ])
    assert.equal(isPublicAddress(address), true, address)
  for (const address of [
    "0.0.0.0",
    "127.0.0.1",
    "127.8.9.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "2001:db8::1",
    "localhost",
  ])
    assert.equal(isPublicAddress(address), false, address)
})
