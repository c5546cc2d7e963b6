import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestIdentity, testPasswords } from "../../../test/identity-cloud.ts"

test("a program of the v2.0 years gets its token, its catalog and its tenants", async () => {
  await using cloud = await startTestIdentity()
  const send = async (method: string, url: string, token?: string, body?: object) => {
    const response = await cloud.server.inject({
      method: method as "GET",
      url,
      headers: token ? { "x-auth-token": token } : {},
      ...(body ? { payload: body } : {}),
    })
    return { status: response.statusCode, body: response.body ? response.json() : null }
  }
  const passwordCredentials = { username: "demo", password: testPasswords.demo }
  const scoped = await send("POST", "/v2.0/tokens", undefined, {
    auth: { passwordCredentials, tenantName: "demo" },
  })
  assert.equal(scoped.status, 200)
  const { token, user, serviceCatalog } = scoped.body.access
  assert.equal(token.tenant.name, "demo")
  assert.deepEqual(user.roles, [{ name: "member" }, { name: "reader" }])
  const compute = serviceCatalog.find((s: { type: string }) => s.type === "compute")
  assert.equal(compute.endpoints[0].publicURL, "http://127.0.0.1:5000/compute/v2.1")
  assert.equal(compute.endpoints.length, 1)
  const tenants = await send("GET", "/identity/v2.0/tenants", token.id)
  assert.deepEqual(
    tenants.body.tenants.map((t: { name: string }) => t.name),
    ["demo"],
  )
  const again = await send("POST", "/v2.0/tokens", undefined, { auth: { token: { id: token.id } } })
  assert.equal(again.status, 200)
  assert.equal((await send("GET", `/v2.0/tokens/${token.id}`, await cloud.adminToken())).status, 200)
  const wrong = { auth: { passwordCredentials: { username: "demo", password: "no" } } }
  assert.equal((await send("POST", "/v2.0/tokens", undefined, wrong)).status, 401)
  assert.equal((await send("POST", "/v2.0/tokens", undefined, { auth: {} })).status, 400)
})
