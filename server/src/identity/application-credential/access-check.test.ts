import assert from "node:assert/strict"
import { test } from "node:test"
import { admitsRequest } from "./access-check.ts"

const rule = (service: string, method: string, path: string) => ({ id: "r", service, method, path })

test("a request passes when one rule names its service, method and path", () => {
  const rules = [
    rule("compute", "GET", "/v2.1/servers"),
    rule("compute", "GET", "/v2.1/servers/{server_id}/ips"),
    rule("image", "GET", "/v2/images/*"),
    rule("volumev3", "DELETE", "/v3/**"),
    rule("network", "GET", "/v2.0/a.b"),
  ]
  const admits = (service: string, method: string, path: string) =>
    admitsRequest(rules, { service, method, path })
  assert.ok(admits("compute", "GET", "/v2.1/servers"))
  assert.ok(admits("compute", "GET", "/v2.1/servers?limit=1"))
  assert.ok(admits("compute", "GET", "/v2.1/servers/7/ips"))
  assert.ok(admits("image", "GET", "/v2/images/7"))
  assert.ok(admits("block-storage", "DELETE", "/v3/p/volumes/7"))
  assert.ok(!admits("compute", "POST", "/v2.1/servers"))
  assert.ok(!admits("compute", "GET", "/v2.1/servers/7"))
  assert.ok(!admits("compute", "GET", "/v2.1/servers/7/8/ips"))
  assert.ok(!admits("image", "GET", "/v2/images/7/file"))
  assert.ok(!admits("network", "GET", "/v2.0/aXb"))
  assert.ok(!admits("network", "GET", "/v2.1/servers"))
})

test("many wildcards and a long path take no long time", () => {
  const many = rule("compute", "GET", `/${"**a".repeat(12)}**b`)
  const began = process.cpuUsage()
  const request = { service: "compute", method: "GET", path: `/${"a".repeat(8_000)}` }
  assert.equal(admitsRequest([many], request), false)
  assert.equal(admitsRequest([many], { ...request, path: `${request.path}b/` }), true)
  // As a regular expression it takes years.
  assert.ok(process.cpuUsage(began).user < 10_000_000)
})
