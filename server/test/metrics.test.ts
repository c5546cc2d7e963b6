import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestCloud } from "./cloud.ts"

test("metrics tell how long operations took and how they ended, to this machine", async () => {
  await using cloud = await startTestCloud()
  const token = await cloud.token()
  for (const id of ["none", "neither"])
    assert.equal((await cloud.request("GET", `/image/v2/images/${id}`, { token })).status, 404)
  assert.equal((await cloud.request("GET", "/image/v2/images", { token })).status, 200)
  const { status, body, headers } = await cloud.request("GET", "/metrics")
  assert.equal(status, 200)
  assert.match(headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/)
  const series = 'kumoi_operation_duration_seconds_count{operation="image.image'
  assert.ok(body.includes(`${series}.list",outcome="ok"} 1\n`), body)
  assert.ok(body.includes(`${series}.get",outcome="not_found"} 2\n`), body)
  assert.match(body, /_bucket\{operation="image\.image\.get",outcome="not_found",le="\+Inf"\} 2\n/)
  assert.match(body, /^process_resident_memory_bytes \d+$/m)
  // Every line is a comment or a series with its value.
  for (const line of body.trim().split("\n"))
    assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{.*\})? [\d.e+-]+)$/)
})

test("metrics are for nobody else: a proxy's client is refused, unless it is named", async () => {
  const overrides = { "http.trustedProxies": ["127.0.0.1"], "http.metricsCidrs": ["192.0.2.0/24"] }
  await using cloud = await startTestCloud({ overrides })
  const statusFor = async (address: string) =>
    (await cloud.request("GET", "/metrics", { headers: { "x-forwarded-for": address } })).status
  assert.equal(await statusFor("198.51.100.7"), 403)
  assert.equal(await statusFor("192.0.2.7"), 200)
  assert.equal((await cloud.request("GET", "/metrics")).status, 200)
})

test("a proxy on this machine that nobody named does not open them", async () => {
  await using cloud = await startTestCloud()
  const headers = { "x-forwarded-for": "127.0.0.1" }
  assert.equal((await cloud.request("GET", "/metrics", { headers })).status, 403)
})
