import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestIdentity, type TestIdentity } from "../../../test/identity-cloud.ts"

const rule = { service: "compute", path: "/v2.1/servers", method: "GET" }

/** A user in a domain of its own, with an application credential that has a rule. */
async function userWithRule(cloud: TestIdentity, admin: string) {
  const make = async (noun: string, body: object) =>
    (await cloud.send("POST", `/${noun}s`, { token: admin, body: { [noun]: body } })).body[noun].id
  const domain = await make("domain", { name: "acme" })
  const project = await make("project", { name: "web", domain_id: domain })
  const user = await make("user", { name: "ann", password: "secret-pw", domain_id: domain })
  const role = (await cloud.send("GET", "/roles?name=member", { token: admin })).body.roles[0].id
  await cloud.send("PUT", `/projects/${project}/users/${user}/roles/${role}`, { token: admin })
  const identity = { methods: ["password"], password: { user: { id: user, password: "secret-pw" } } }
  const auth = { identity, scope: { project: { id: project } } }
  const loggedIn = await cloud.send("POST", "/auth/tokens", { body: { auth } })
  const token = String(loggedIn.headers["x-subject-token"])
  const made = await cloud.send("POST", `/users/${user}/application_credentials`, {
    token,
    body: { application_credential: { name: "reads", access_rules: [rule] } },
  })
  assert.equal(made.status, 201)
  const { id, secret, access_rules } = made.body.application_credential
  return { domain, user, token, credential: id, secret, rule: access_rules[0].id }
}

test("a rule in use stays, one that is not can go", async () => {
  await using cloud = await startTestIdentity()
  const ann = await userWithRule(cloud, await cloud.adminToken())
  const remove = async (path: string) =>
    (await cloud.send("DELETE", `/users/${ann.user}/${path}`, { token: ann.token })).status
  assert.equal(await remove(`access_rules/${ann.rule}`), 403)
  assert.equal(await remove(`application_credentials/${ann.credential}`), 204)
  assert.equal(await remove(`access_rules/${ann.rule}`), 204)
})

test("a token with rules is valid only for who says that it enforces them", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const ann = await userWithRule(cloud, admin)
  const made = await cloud.send("POST", `/users/${ann.user}/application_credentials`, {
    token: ann.token,
    body: { application_credential: { name: "free" } },
  })
  const tokenOf = async (id: string, secret: string) => {
    const identity = { methods: ["application_credential"], application_credential: { id, secret } }
    const reply = await cloud.send("POST", "/auth/tokens", { body: { auth: { identity } } })
    assert.equal(reply.status, 201, JSON.stringify(reply.body))
    return String(reply.headers["x-subject-token"])
  }
  const free = await tokenOf(made.body.application_credential.id, made.body.application_credential.secret)
  const bound = await tokenOf(ann.credential, ann.secret)
  const statuses = async (subject: string, version?: string) => {
    const headers = {
      "x-subject-token": subject,
      ...(version === undefined ? {} : { "openstack-identity-access-rules": version }),
    }
    const ask = async (method: string) =>
      (await cloud.send(method, "/auth/tokens", { token: admin, headers })).status
    return [await ask("GET"), await ask("HEAD")]
  }
  assert.deepEqual(await statuses(free), [200, 200])
  assert.deepEqual(await statuses(bound), [404, 404])
  assert.deepEqual(await statuses(bound, "0.9"), [404, 404])
  assert.deepEqual(await statuses(bound, "yes"), [404, 404])
  assert.deepEqual(await statuses(bound, "1.0"), [200, 200])
  const old = { method: "GET" as const, url: `/v2.0/tokens/${bound}`, headers: { "x-auth-token": admin } }
  assert.equal((await cloud.server.inject(old)).statusCode, 404, "the old API cannot say that it does")
  const headers = { "x-subject-token": bound }
  assert.equal((await cloud.send("DELETE", "/auth/tokens", { token: admin, headers })).status, 204)
  assert.deepEqual(await statuses(bound, "1.0"), [404, 404])
})

test("the rules of a user go with the user", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const { user } = await userWithRule(cloud, admin)
  assert.equal((await cloud.send("DELETE", `/users/${user}`, { token: admin })).status, 204)
})

test("the rules of its users go with a domain", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const { domain } = await userWithRule(cloud, admin)
  const body = { domain: { enabled: false } }
  assert.equal((await cloud.send("PATCH", `/domains/${domain}`, { token: admin, body })).status, 200)
  assert.equal((await cloud.send("DELETE", `/domains/${domain}`, { token: admin })).status, 204)
})
