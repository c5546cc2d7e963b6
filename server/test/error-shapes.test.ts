// What each API answers to paths and methods that it does not have, in its own shape, and in which order a request
// is looked at.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestCloud, type TestCloud, type TestReply } from "./cloud.ts"

let cloud: TestCloud
let admin: string
let demo: string
before(async () => {
  cloud = await startTestCloud()
  admin = await cloud.token()
  demo = await cloud.token({ user: "demo" })
})
after(async () => await cloud[Symbol.asyncDispose]())

const json = { accept: "application/json" }
const ask = (
  method: string,
  path: string,
  token: string | null = admin,
  headers: Record<string, string> = json,
) => cloud.request(method, path, { ...(token ? { token } : {}), headers })

test("identity: JSON with code, message and title; strangers are told as well", async () => {
  for (const token of [admin, null]) {
    const unknown = await ask("GET", "/identity/v3/nothing", token)
    assert.equal(unknown.status, 404)
    const message = "The resource could not be found."
    assert.deepEqual(unknown.body, { error: { code: 404, message, title: "Not Found" } })
    const wrong = await ask("PATCH", "/v3/users", token)
    assert.equal(wrong.status, 405)
    assert.equal(wrong.headers.get("allow"), "GET, HEAD, POST")
    assert.equal(wrong.body.error.title, "Method Not Allowed")
  }
  assert.equal((await ask("GET", "/identity/v3/nothing", "bad")).status, 401)
})

test("compute: a small page, the same for a wrong method", async () => {
  const paths = [
    ["GET", "/compute/v2.1/nothing"],
    ["GET", "/compute/v2/nothing"],
    ["PUT", "/compute/v2.1/servers"],
    ["GET", "/compute/nothing"],
  ] as const
  for (const [method, path] of paths) {
    const unknown = await ask(method, path)
    assert.equal(unknown.status, 404, path)
    const message = "The resource could not be found."
    assert.deepEqual(unknown.body, { message, code: "404 Not Found", title: "Not Found" })
    assert.equal(unknown.headers.get("allow"), null)
    assert.match(unknown.headers.get("x-compute-request-id") ?? "", /^req-/)
  }
  const html = await ask("GET", "/compute/v2.1/nothing", admin, { accept: "*/*" })
  assert.match(html.headers.get("content-type") ?? "", /^text\/html/)
  assert.match(html.body, /<h1>404 Not Found<\/h1>/)
  assert.equal((await ask("GET", "/compute/v2.1/nothing", null)).status, 401)
  // A path that another microversion has is Nova's to refuse.
  const old = await ask("GET", "/compute/v2.1/servers/x/tags")
  assert.equal(old.body.itemNotFound.code, 404)
})

test("image: a small page, with the methods that there are", async () => {
  const unknown = await ask("GET", "/image/v2/nothing")
  assert.equal(unknown.status, 404)
  assert.equal(unknown.body.code, "404 Not Found")
  const wrong = await ask("PATCH", "/image/v2/images")
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get("allow"), "GET, POST")
  assert.equal(wrong.body.title, "Method Not Allowed")
  assert.equal((await ask("PATCH", "/image/v2/images", null)).status, 401)
})

test("network: NeutronError", async () => {
  const unknown = await ask("GET", "/network/v2.0/nothing")
  assert.equal(unknown.status, 404)
  assert.deepEqual(unknown.body, {
    NeutronError: { type: "HTTPNotFound", message: "The resource could not be found.", detail: "" },
  })
  const wrong = await ask("PATCH", "/network/v2.0/networks")
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get("allow"), "GET, POST")
  assert.equal(wrong.body.NeutronError.type, "HTTPMethodNotAllowed")
  assert.equal((await ask("GET", "/network/v2.0/nothing", null)).status, 401)
})

test("placement: a list of errors, with the microversion", async () => {
  const unknown = await ask("GET", "/placement/nothing")
  assert.equal(unknown.status, 404)
  assert.equal(unknown.body.errors[0].title, "Not Found")
  assert.equal(unknown.headers.get("openstack-api-version"), "placement 1.0")
  const wrong = await ask("PATCH", "/placement/resource_providers")
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get("allow"), "GET, POST")
  assert.equal(wrong.body.errors[0].detail, "The method specified is not allowed for this resource.")
  const tooNew = { ...json, "openstack-api-version": "placement 1.999" }
  assert.equal((await ask("GET", "/placement/nothing", admin, tooNew)).status, 406)
  assert.equal((await ask("GET", "/placement/nothing", null)).status, 401)
})

test("authentication comes before the body, and before the microversion", async () => {
  const headers = { "openstack-api-version": "compute 2.999, placement 1.999" }
  for (const path of [
    "/identity/v3/users",
    "/compute/v2.1/servers",
    "/image/v2/images",
    "/network/v2.0/networks",
    "/placement/resource_providers",
  ])
    assert.equal((await cloud.request("POST", path, { body: "{no json", headers })).status, 401, path)
})

test("a body that is wrong, from who may not: placement and identity look at the right first", async () => {
  const post = async (path: string, body: unknown): Promise<TestReply> =>
    await cloud.request("POST", path, { token: demo, body })
  const wrong = await post("/placement/resource_providers", { name: 3 })
  assert.equal(wrong.status, 403)
  assert.match(wrong.body.errors[0].detail, /placement:resource_providers:create/)
  assert.equal((await post("/placement/resource_providers", "{no json")).status, 403)
  assert.equal((await cloud.request("GET", "/placement/resource_providers?x=1", { token: demo })).status, 403)
  assert.equal((await post("/identity/v3/users", { user: { name: 3 } })).status, 403)
  assert.equal((await post("/compute/v2.1/flavors", { flavor: { name: 3 } })).status, 400)
  assert.equal((await post("/image/v2/metadefs/namespaces", { namespace: 3 })).status, 400)
  assert.equal(
    (await post("/network/v2.0/address-scopes", { address_scope: { ip_version: "x" } })).status,
    400,
  )
})
