// What Nova has given up: known, and gone.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { removedRoutes } from "../src/compute/openstack-v2/removed.ts"
import { newUuid } from "../src/platform/ids/ids.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
let demo: string
before(async () => {
  cloud = await startTestCloud()
  demo = await cloud.token({ user: "demo" })
})
after(async () => await cloud[Symbol.asyncDispose]())

const gone = {
  computeFault: {
    code: 410,
    message: "This resource is no longer available.  No forwarding address is given.",
  },
}

async function ask(method: string, path: string, how: { body?: unknown; version?: string; token?: string }) {
  return await cloud.request(method, `/compute/v2.1${path}`, {
    ...(how.token === "" ? {} : { token: how.token ?? demo }),
    ...(how.body === undefined ? {} : { body: how.body }),
    headers: { "openstack-api-version": `compute ${how.version ?? "2.1"}` },
  })
}

test("who is logged in is told that it is gone, at every microversion and whatever the body says", async () => {
  for (const { method, path, actions } of removedRoutes) {
    const url = path.replaceAll(/\{\w+\}/g, newUuid())
    const bodies = actions ? actions.map((name) => ({ [name]: null })) : [undefined]
    for (const body of bodies) {
      for (const version of ["2.1", "2.96"]) {
        const reply = await ask(method, url, { body, version })
        assert.equal(reply.status, 410, `${method} ${path} at ${version}`)
        assert.deepEqual(reply.body, gone)
      }
    }
  }
  assert.equal((await ask("POST", "/os-networks", { body: { network: { cidr: 7 } } })).status, 410)
})

test("strangers, other methods and other actions are not", async () => {
  assert.equal((await ask("GET", "/os-agents", { token: "" })).status, 401)
  assert.equal((await ask("PATCH", "/os-agents", {})).status, 404)
  const other = await ask("POST", `/os-networks/${newUuid()}/action`, { body: { paint: null } })
  assert.equal(other.status, 400)
  assert.equal(other.body.badRequest.message, "There is no such action: paint")
  assert.equal((await ask("POST", `/os-fixed-ips/10.0.0.1/action`, { body: {} })).status, 400)
  // What is left of it is served as before.
  assert.equal((await ask("GET", "/os-networks", {})).status, 200)
})

test("resetNetwork is gone, whichever server it is asked of", async () => {
  const reply = await ask("POST", `/servers/${newUuid()}/action`, { body: { resetNetwork: null } })
  assert.equal(reply.status, 410)
  assert.deepEqual(reply.body, gone)
})
