import assert from "node:assert/strict"
import { test } from "node:test"
import {
  defaultProject,
  startTestIdentity,
  type TestIdentity,
  testPasswords,
} from "../../../test/identity-cloud.ts"

interface Client {
  id: string
  secret: string
}

async function makeClient(cloud: TestIdentity): Promise<Client> {
  const token = await cloud.token("demo", testPasswords.demo, defaultProject("demo"))
  const { token: own } = (
    await cloud.send("GET", "/auth/tokens", { token, headers: { "x-subject-token": token } })
  ).body
  const path = `/users/${own.user.id}/application_credentials`
  const body = { application_credential: { name: "robot", secret: "a:b c%" } }
  const made = await cloud.send("POST", path, { token, body })
  assert.equal(made.status, 201)
  return { id: made.body.application_credential.id, secret: "a:b c%" }
}

async function ask(cloud: TestIdentity, form: Record<string, string>, client?: Client) {
  const response = await cloud.server.inject({
    method: "POST",
    url: "/v3/OS-OAUTH2/token",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      ...(client
        ? { authorization: `Basic ${Buffer.from(`${client.id}:${client.secret}`).toString("base64")}` }
        : {}),
    },
    payload: new URLSearchParams(form).toString(),
  })
  return { status: response.statusCode, headers: response.headers, body: response.json() }
}

const grant = { grant_type: "client_credentials" }

test("client credentials give a bearer token, by HTTP Basic and by the form", async () => {
  await using cloud = await startTestIdentity()
  const client = await makeClient(cloud)
  const form = { ...grant, client_id: client.id, client_secret: client.secret }
  for (const reply of [await ask(cloud, grant, client), await ask(cloud, form)]) {
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    assert.equal(reply.headers["cache-control"], "no-store")
    const { access_token, token_type, expires_in } = reply.body
    assert.equal(token_type, "Bearer")
    assert.ok(expires_in > 3500 && expires_in <= 3600)
    const bearer = await cloud.send("GET", "/auth/projects", {
      headers: { authorization: `Bearer ${access_token}` },
    })
    assert.equal(bearer.status, 200)
    assert.equal((await cloud.send("GET", "/auth/projects", { token: access_token })).status, 200)
  }
  const wrong = await cloud.send("GET", "/auth/projects", { headers: { authorization: "Bearer nonsense" } })
  assert.equal(wrong.status, 401)
})

test("errors are those of RFC 6749", async () => {
  await using cloud = await startTestIdentity()
  const client = await makeClient(cloud)
  const error = async (form: Record<string, string>, who?: Client) => {
    const { status, body } = await ask(cloud, form, who)
    assert.equal(typeof body.error_description, "string")
    return [status, body.error]
  }
  assert.deepEqual(await error({}, client), [400, "invalid_request"])
  assert.deepEqual(await error({ grant_type: "password" }, client), [400, "unsupported_grant_type"])
  assert.deepEqual(await error(grant), [401, "invalid_client"])
  assert.deepEqual(await error(grant, { ...client, secret: "x" }), [401, "invalid_client"])
  assert.deepEqual(await error(grant, { id: "gone", secret: "x" }), [401, "invalid_client"])
  assert.deepEqual(await error({ ...grant, padding: "x".repeat(20_000) }, client), [413, "other_error"])
  const refused = await ask(cloud, grant)
  assert.match(String(refused.headers["www-authenticate"]), /^Keystone uri=/)
})
