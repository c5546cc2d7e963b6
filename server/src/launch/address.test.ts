import assert from "node:assert/strict"
import { isIPv4 } from "node:net"
import { hostname } from "node:os"
import { test } from "node:test"
import { choosePublicUrl, isLinkLocal } from "./address.ts"

test("the catalog names what the operator says, else where we listen", async () => {
  const at = (listen: string, given = "") => choosePublicUrl({ listen, port: 5000, tls: null }, given)
  assert.equal(await at("127.0.0.1"), "http://127.0.0.1:5000")
  assert.equal(
    await choosePublicUrl({ listen: "10.0.0.5", port: 5000, tls: "own" }, ""),
    "https://10.0.0.5:5000",
  )
  assert.equal(await at("cloud.example"), "http://cloud.example:5000")
  assert.equal(await at("fd00::1"), "http://[fd00::1]:5000")
  assert.equal(await at("0.0.0.0", "https://cloud.example/iaas/"), "https://cloud.example/iaas")
  const { hostname: host } = new URL(await at("0.0.0.0"))
  assert.notEqual(host, "0.0.0.0")
  assert.ok(isIPv4(host) || host === hostname().toLowerCase())
})

test("addresses of one cable are told from those that others reach", () => {
  for (const address of ["169.254.241.25", "fe80::1", "FE9a::1"]) assert.ok(isLinkLocal(address), address)
  for (const address of ["10.0.0.2", "192.169.254.1", "fd00::1", "fec0::1"])
    assert.ok(!isLinkLocal(address), address)
})
