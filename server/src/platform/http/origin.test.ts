import assert from "node:assert/strict"
import type { IncomingMessage } from "node:http"
import { test } from "node:test"
import type { Config } from "../config/config.ts"
import { createOrigins } from "./origin.ts"

/** What is read of a request. */
function request(headers: Record<string, string>, socket: Record<string, unknown> = {}): IncomingMessage {
  const own = { remoteAddress: "10.0.0.9", localAddress: "10.0.0.5", localPort: 5000, ...socket }
  return { headers, socket: own } as unknown as IncomingMessage
}

function originsFor(http: { publicUrl?: string; trustedProxies?: string[] } = {}) {
  const publicUrl = http.publicUrl || "http://10.0.0.5:5000"
  const section = { publicUrl: "", trustedProxies: [], ...http }
  return createOrigins({ publicUrl, host: "node1", http: section } as unknown as Config)
}

test("the name that was asked for is repeated when it is ours", () => {
  const { baseUrlOf } = originsFor()
  for (const [host, url] of [
    ["10.0.0.5:5000", "http://10.0.0.5:5000"],
    ["node1:5000", "http://node1:5000"],
    ["localhost:5000", "http://localhost:5000"],
    ["10.0.0.5:8774", "http://10.0.0.5:5000"],
    ["evil.example", "http://10.0.0.5:5000"],
    ["evil.example:5000", "http://10.0.0.5:5000"],
    ["10.0.0.5:5000@evil.example", "http://10.0.0.5:5000"],
    ["", "http://10.0.0.5:5000"],
  ] as const)
    assert.equal(baseUrlOf(request({ host })), url, host)
  const classic = { localPort: 8774 }
  assert.equal(baseUrlOf(request({ host: "10.0.0.5:8774" }, classic)), "http://10.0.0.5:8774")
  const v6 = { localAddress: "fd00::5" }
  assert.equal(baseUrlOf(request({ host: "[fd00::5]:5000" }, v6)), "http://[fd00::5]:5000")
  const mapped = { localAddress: "::ffff:10.0.0.5" }
  assert.equal(baseUrlOf(request({ host: "10.0.0.5:5000" }, mapped)), "http://10.0.0.5:5000")
})

test("forwarded headers count from named proxies only", () => {
  const headers = { host: "10.0.0.5:5000", "x-forwarded-proto": "https", "x-forwarded-host": "cloud.example" }
  assert.equal(originsFor().baseUrlOf(request(headers)), "http://10.0.0.5:5000")
  const { baseUrlOf } = originsFor({ trustedProxies: ["10.0.0.9"] })
  for (const [more, url] of [
    [{}, "https://cloud.example"],
    [{ "x-forwarded-port": "8443" }, "https://cloud.example:8443"],
    [{ "x-forwarded-port": "443" }, "https://cloud.example"],
    [{ "x-forwarded-prefix": "/iaas/" }, "https://cloud.example/iaas"],
    [{ "x-forwarded-prefix": "//evil.example" }, "https://cloud.example"],
    [{ "x-forwarded-host": "evil.example, cloud.example" }, "https://cloud.example"],
    [
      { forwarded: 'for=1.2.3.4;proto=http;host=evil, for=10.1.1.1;proto=https;host="a.example:8443"' },
      "https://a.example:8443",
    ],
    [{ "x-forwarded-host": "a/b" }, "http://10.0.0.5:5000"],
    [{ "x-forwarded-proto": "javascript" }, "http://10.0.0.5:5000"],
  ] as const)
    assert.equal(baseUrlOf(request({ ...headers, ...more })), url, JSON.stringify(more))
  const other = { remoteAddress: "10.0.0.10" }
  assert.equal(baseUrlOf(request(headers, other)), "http://10.0.0.5:5000")
})

test("the public URL comes first", () => {
  const { baseUrlOf } = originsFor({ publicUrl: "https://cloud.example/iaas", trustedProxies: ["10.0.0.9"] })
  assert.equal(baseUrlOf(request({ host: "10.0.0.5:5000" })), "https://cloud.example/iaas")
  assert.equal(baseUrlOf(request({ "x-forwarded-host": "other.example" })), "https://cloud.example/iaas")
})

test("the client's address is what a named proxy saw", () => {
  const headers = { "x-forwarded-for": "6.6.6.6, 192.0.2.7, 10.0.0.8" }
  assert.equal(originsFor().clientOf(request(headers)), "10.0.0.9")
  const { clientOf } = originsFor({ trustedProxies: ["10.0.0.8/31"] })
  assert.equal(clientOf(request(headers)), "192.0.2.7")
  assert.equal(clientOf(request({})), "10.0.0.9")
  assert.equal(clientOf(request({ "x-forwarded-for": "6.6.6.6, unknown" })), "10.0.0.9")
  assert.equal(clientOf(request({ forwarded: 'for="[2001:db8::1]:4711"' })), "2001:db8::1")
  assert.equal(clientOf(request(headers, { remoteAddress: "::ffff:10.0.0.9" })), "192.0.2.7")
})
