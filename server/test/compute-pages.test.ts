// Lists of compute end at the greatest page also for who asks for no limit, and say where they go on.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let token: string
before(async () => {
  cloud = await startTestCloud({ overrides: { "compute.listLimitMost": 2 } })
  token = await cloud.token({ user: "demo" })
})
after(async () => await cloud[Symbol.asyncDispose]())

async function get(path: string) {
  const headers = { "x-openstack-nova-api-version": "2.90" }
  const reply = await cloud.request("GET", path, { token, headers })
  assert.equal(reply.status, 200, JSON.stringify(reply.body))
  return reply.body
}

/** Items of each page, by following the links. */
async function pagesOf(noun: string, path: string): Promise<number[]> {
  const sizes: number[] = []
  for (let at: string | undefined = path; at !== undefined; ) {
    const body = await get(at)
    sizes.push(body[noun].length)
    const next: string | undefined = body[`${noun}_links`]?.[0]?.href
    at = next?.slice(new URL(next).origin.length)
  }
  return sizes
}

test("key pairs and flavors", async () => {
  for (const name of ["a", "b", "c"]) {
    const key = await cloud.request("POST", "/compute/v2.1/os-keypairs", {
      token,
      body: { keypair: { name } },
    })
    assert.equal(key.status, 200)
  }
  assert.deepEqual(await pagesOf("keypairs", "/compute/v2.1/os-keypairs"), [2, 1])
  assert.deepEqual(await pagesOf("keypairs", "/compute/v2.1/os-keypairs?limit=1000"), [2, 1])
  const flavors = await pagesOf("flavors", "/compute/v2.1/flavors")
  assert.ok(flavors.length > 1 && flavors.every((size) => size <= 2))
})

test("a page is never turned round: that is Neutron's", async () => {
  const ids = async (query: string) => {
    const reply = await cloud.request("GET", `/compute/v2.1/flavors${query}`, { token })
    assert.equal(reply.status, 200)
    return reply.body.flavors.map(({ id }: { id: string }) => id)
  }
  assert.deepEqual(await ids("?page_reverse=true"), await ids(""))
})
