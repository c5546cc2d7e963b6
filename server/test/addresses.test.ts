// Where the cloud says that it is: in the catalog over restarts, and in links, whoever asks.
import assert from "node:assert/strict"
import { request as httpRequest } from "node:http"
import { test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

async function urlsOf(cloud: TestCloud, type: string): Promise<Record<string, { id: string; url: string }>> {
  const token = await cloud.token()
  const ask = async (path: string) => (await cloud.request("GET", path, { token })).body
  const [service] = (await ask(`/identity/v3/services?type=${type}`)).services
  const { endpoints } = await ask(`/identity/v3/endpoints?service_id=${service.id}`)
  return Object.fromEntries(
    endpoints.map((e: { interface: string; id: string; url: string }) => [e.interface, e]),
  )
}

test("what an administrator makes of an endpoint stays; the others follow the configuration", async () => {
  const first = await startTestCloud()
  const own = await urlsOf(first, "compute")
  const url = "https://cloud.example/compute/v2.1"
  const changed = await first.request("PATCH", `/identity/v3/endpoints/${own.public?.id}`, {
    token: await first.token(),
    body: { endpoint: { url } },
  })
  assert.equal(changed.status, 200)
  await first.stop()
  const second = await startTestCloud({
    continueFrom: first,
    overrides: {
      "http.serviceUrls": { compute: "https://compute.example/v2.1", image: "https://image.example" },
    },
  })
  const compute = await urlsOf(second, "compute")
  assert.equal(compute.public?.url, url)
  assert.equal(compute.internal?.url, "https://compute.example/v2.1")
  assert.equal((await urlsOf(second, "image")).public?.url, "https://image.example")
  await second.stop()
  await using third = await startTestCloud({ continueFrom: second })
  const last = await urlsOf(third, "compute")
  assert.equal(last.public?.url, url)
  assert.equal(last.internal?.url, own.internal?.url)
  assert.equal(last.public?.id, own.public?.id)
})

/** With headers that `fetch` would not send. */
async function ask(cloud: TestCloud, path: string, headers: Record<string, string>) {
  return await new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const request = httpRequest(`${cloud.baseUrl}${path}`, { headers }, async (response) => {
        let text = ""
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
      })
      request.on("error", reject).end()
    },
  )
}

const pages = [
  "/identity/v3",
  "/compute/v2.1/",
  "/image/versions",
  "/network/v2.0/networks?limit=1",
  "/compute/v2.1/flavors?limit=1",
]

test("links name what a named proxy says, and never a host that is none of ours", async () => {
  await using cloud = await startTestCloud({ overrides: { "http.trustedProxies": ["127.0.0.1"] } })
  const token = await cloud.token()
  for (const flavor of ["a", "b"])
    await cloud.request("POST", "/compute/v2.1/flavors", {
      token,
      body: { flavor: { name: flavor, ram: 64, vcpus: 1, disk: 1 } },
    })
  const proxied = {
    host: "x",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "cloud.example",
    "x-auth-token": token,
  }
  for (const page of pages) {
    const { text } = await ask(cloud, page, proxied)
    const links = [...text.matchAll(/"href": ?"([^"]*)"/g)].map(([, href]) => href ?? "")
    const own = links.filter((href) => !href.includes("openstack.org"))
    assert.ok(own.length > 0 || page.includes("networks"), page)
    for (const href of own) assert.match(href, /^https:\/\/cloud\.example\//, page)
  }
  await cloud.stop()
  await using open = await startTestCloud({ continueFrom: cloud })
  for (const page of pages) {
    const { text } = await ask(open, page, { ...proxied, host: "evil.example" })
    assert.doesNotMatch(text, /evil\.example|cloud\.example/, page)
  }
})

test("every API's 401 names where to log in, host and all", async () => {
  await using cloud = await startTestCloud({
    overrides: { "http.publicUrl": "https://cloud.example" },
  })
  for (const path of [
    "/identity/v3/users",
    "/compute/v2.1/servers",
    "/image/v2/images",
    "/network/v2.0/networks",
    "/placement/resource_providers",
  ]) {
    const { status, headers } = await ask(cloud, path, { host: "evil.example" })
    assert.equal(status, 401, path)
    assert.match(String(headers["www-authenticate"]), /^Keystone uri="http.*\/identity"$/, path)
    assert.doesNotMatch(String(headers["www-authenticate"]), /evil/)
  }
})
