// What the edge refuses, in each API's own error shape: for strangers at the log-in and for users of every service.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let token: string
before(async () => {
  cloud = await startTestCloud()
  token = await cloud.token()
})
after(async () => {
  await cloud[Symbol.asyncDispose]()
})

/** Where each API takes a JSON body, where it has an id in the path, and what an error of it has. */
const apis = [
  { name: "identity", post: "/identity/v3/users", path: "/identity/v3/users", error: "error" },
  { name: "image", post: "/image/v2/images", path: "/image/v2/images", error: "message" },
  { name: "network", post: "/network/v2.0/networks", path: "/network/v2.0/networks", error: "NeutronError" },
  { name: "compute", post: "/compute/v2.1/servers", path: "/compute/v2.1/servers", error: "badRequest" },
  {
    name: "placement",
    post: "/placement/resource_providers",
    path: "/placement/resource_providers",
    error: "errors",
  },
] as const

const zero = "a\u0000b"
const nested = `${"[".repeat(100_000)}${"]".repeat(100_000)}`

for (const { name, post, path, error } of apis) {
  test(`${name} refuses U+0000, deep nesting and long lists as it refuses anything`, async () => {
    const refused = async (method: string, at: string, body?: unknown) => {
      const reply = await cloud.request(method, at, { token, ...(body === undefined ? {} : { body }) })
      assert.equal(reply.status, 400, `${method} ${at} ${JSON.stringify(reply.body)}`)
      const text = typeof reply.body === "string" ? reply.body : JSON.stringify(reply.body)
      assert.ok(typeof reply.body === "string" || error in reply.body, text)
      assert.match(text, /U\+0000|UTF-8|deep|members/)
    }
    await refused("GET", `${path}/a%00b`)
    await refused("DELETE", `${path}/a%00b`)
    await refused("GET", `${path}?name=a%00b`)
    await refused("GET", `${path}?name=%ff`)
    const noun = name === "placement" ? { name: zero } : { server: {}, name: zero, network: { name: zero } }
    await refused("POST", post, noun)
    await refused("POST", post, `{"name":${nested}}`)
    await refused("POST", post, { list: Array.from({ length: 20_000 }, () => 1) })
  })
}

test("the log-in refuses them from strangers", async () => {
  const user = { name: zero, domain: { id: "default" }, password: "x" }
  const auth = { identity: { methods: ["password"], password: { user } } }
  for (const body of [{ auth }, `{"auth":${nested}}`]) {
    const reply = await cloud.request("POST", "/identity/v3/auth/tokens", { body })
    assert.equal(reply.status, 400)
    assert.equal(reply.body.error.code, 400)
  }
  const basic = Buffer.from("a\u0000:b\u0000").toString("base64")
  const oauth = await cloud.request("POST", "/identity/v3/OS-OAUTH2/token", {
    headers: { authorization: `Basic ${basic}`, "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials",
  })
  assert.ok([400, 401].includes(oauth.status), String(oauth.status))
})

test("doubled slashes lead where one does", async () => {
  assert.equal((await cloud.request("GET", "//identity/v3")).status, 200)
  assert.equal((await cloud.request("GET", "/compute//v2.1//servers", { token })).status, 200)
})

test("a refusal does not send a long value back, whatever it was", async () => {
  const [word, words] = ["x".repeat(10_000), "x y ".repeat(2_500)]
  const ask = async (method: string, path: string, body?: unknown) => {
    const reply = await cloud.request(method, path, { token, ...(body === undefined ? {} : { body }) })
    const text = JSON.stringify(reply.body)
    assert.ok(reply.status >= 400 && reply.status < 500, `${method} ${path.slice(0, 60)} ${reply.status}`)
    assert.ok(text.length < 3_000, `${method} ${path.slice(0, 60)}: ${text.length} characters`)
  }
  for (const long of [word, words]) {
    const value = encodeURIComponent(long).slice(0, 15_000)
    for (const path of [
      `/network/v2.0/ports?sort_key=${value}`,
      `/network/v2.0/ports?fixed_ips=${value}`,
      `/network/v2.0/ports?${value}=1`,
      `/network/v2.0/ports/${value.slice(0, 400)}`,
      `/compute/v2.1/servers?sort_key=${value}`,
      `/compute/v2.1/servers?marker=${value}`,
      `/image/v2/images?sort_key=${value}`,
      `/image/v2/images?sort=${value}`,
      `/image/v2/images?limit=${value}`,
      `/image/v2/metadefs/namespaces?sort_key=${value}`,
      `/placement/resource_providers?member_of=${value}`,
      `/placement/resource_providers?${value}=1`,
      `/identity/v3/role_assignments?scope=${value}&user.id=${value.slice(0, 100)}&group.id=x`,
      `/nothing/${value}`,
    ])
      await ask("GET", path)
    const port = { network_id: "00000000-0000-0000-0000-000000000000", dns_name: long }
    await ask("POST", "/network/v2.0/ports", { port })
    await ask("POST", "/network/v2.0/ports", { port: { ...port, dns_name: "a", mac_address: long } })
    await ask("POST", "/compute/v2.1/servers", { server: { name: "a", flavorRef: long, imageRef: long } })
    await ask("POST", "/image/v2/images", { name: "a", disk_format: long })
    await ask("POST", "/identity/v3/users", {
      user: { name: "a", default_project_id: long, domain_id: long },
    })
  }
})
