import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import { sql } from "kysely"
import {
  defaultProject,
  passwordLogin,
  startTestIdentity,
  type TestIdentity,
  testPasswords,
} from "../../../test/identity-cloud.ts"
import { decodeBase32, totpCode } from "./totp.ts"

const rules = "identity.security_compliance"

async function login(cloud: TestIdentity, methods: object, more: object = {}, headers: object = {}) {
  const body = { auth: { identity: { methods: Object.keys(methods), ...methods }, ...more } }
  return await cloud.send("POST", "/auth/tokens", { body, headers })
}

async function makeUser(
  cloud: TestIdentity,
  admin: string,
  name: string,
  more: object = {},
): Promise<string> {
  const user = { name, domain_id: "default", password: `${name}-pw`, ...more }
  const reply = await cloud.send("POST", "/users", { token: admin, body: { user } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body.user.id
}

async function idOf(cloud: TestIdentity, admin: string, kind: string, name: string): Promise<string> {
  const reply = await cloud.send("GET", `/${kind}?name=${name}`, { token: admin })
  return reply.body[kind][0].id
}

async function grantOnDemo(cloud: TestIdentity, admin: string, user: string, role: string): Promise<string> {
  const project = await idOf(cloud, admin, "projects", "demo")
  const path = `/projects/${project}/users/${user}/roles/${await idOf(cloud, admin, "roles", role)}`
  assert.equal((await cloud.send("PUT", path, { token: admin })).status, 204)
  return path
}

test("wrong passwords lock a user for a while, also guesses that come at once", async () => {
  await using cloud = await startTestIdentity({
    overrides: { [`${rules}.lockout_failure_attempts`]: 3, [`${rules}.lockout_duration`]: 3600 },
  })
  const guesses = Array.from({ length: 4 }, () =>
    cloud.send("POST", "/auth/tokens", { body: passwordLogin("demo", "no") }),
  )
  for (const reply of await Promise.all(guesses)) assert.equal(reply.status, 401)
  const right = { body: passwordLogin("demo", testPasswords.demo) }
  assert.equal((await cloud.send("POST", "/auth/tokens", right)).status, 401)
  await sql`update identity.login_state set failed_at = now() - interval '2 hours'`.execute(cloud.database.db)
  assert.equal((await cloud.send("POST", "/auth/tokens", right)).status, 201)
})

test("a changed password ends every token, and old passwords do not come back", async () => {
  await using cloud = await startTestIdentity({ overrides: { [`${rules}.unique_last_password_count`]: 2 } })
  const token = await cloud.token("demo", testPasswords.demo)
  const admin = await cloud.adminToken()
  const id = await idOf(cloud, admin, "users", "demo")
  const change = (original_password: string, password: string) =>
    cloud.send("POST", `/users/${id}/password`, { body: { user: { original_password, password } } })
  assert.equal((await change("wrong", "second")).status, 401)
  assert.equal((await change(testPasswords.demo, testPasswords.demo)).status, 400)
  assert.equal((await change(testPasswords.demo, "second")).status, 204)
  assert.equal((await cloud.send("GET", "/auth/projects", { token })).status, 401)
  assert.equal((await change("second", testPasswords.demo)).status, 400)
  assert.equal((await change("second", "third")).status, 204)
  assert.equal((await change("third", testPasswords.demo)).status, 204)
  // The same second as the change: the token is good all the same.
  const fresh = await cloud.token("demo", testPasswords.demo)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: fresh })).status, 200)
})

test("a password that is expired, or that a stranger set, must be changed first", async () => {
  await using cloud = await startTestIdentity({
    overrides: { [`${rules}.change_password_upon_first_use`]: true, [`${rules}.password_regex`]: "^.{4,}$" },
  })
  const admin = await cloud.adminToken()
  const id = await makeUser(cloud, admin, "newcomer")
  const first = await cloud.send("POST", "/auth/tokens", { body: passwordLogin("newcomer", "newcomer-pw") })
  assert.equal(first.status, 401)
  assert.match(first.body.error.message, /needs to be changed/)
  const change = (password: string) =>
    cloud.send("POST", `/users/${id}/password`, {
      body: { user: { original_password: "newcomer-pw", password } },
    })
  assert.equal((await change("abc")).status, 400)
  assert.equal((await change("my own")).status, 204)
  const second = await cloud.send("POST", "/auth/tokens", { body: passwordLogin("newcomer", "my own") })
  assert.equal(second.status, 201)
})

test("a user with two factors gets a receipt for the first", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const options = { multi_factor_auth_enabled: true, multi_factor_auth_rules: [["password", "totp"]] }
  const id = await makeUser(cloud, admin, "careful", { options })
  const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
  const credential = { type: "totp", blob: secret, user_id: id }
  assert.equal((await cloud.send("POST", "/credentials", { token: admin, body: { credential } })).status, 201)
  const password = { user: { id, password: "careful-pw" } }
  const half = await login(cloud, { password })
  assert.equal(half.status, 401)
  assert.deepEqual(half.body.required_auth_methods, [["password", "totp"]])
  assert.deepEqual(half.body.receipt.methods, ["password"])
  const receipt = { "openstack-auth-receipt": half.headers["openstack-auth-receipt"] }
  const key = decodeBase32(secret)
  assert.ok(key)
  const passcode = totpCode(key, Date.now() / 1000)
  assert.equal((await login(cloud, { totp: { user: { id, passcode: "000000" } } }, {}, receipt)).status, 401)
  assert.equal((await login(cloud, { totp: { user: { id, passcode } } })).status, 401)
  const whole = await login(cloud, { totp: { user: { id, passcode } } }, {}, receipt)
  assert.equal(whole.status, 201)
  assert.deepEqual(new Set(whole.body.token.methods), new Set(["password", "totp"]))
  const strangers = await login(
    cloud,
    { password: { user: { name: "demo", domain: { id: "default" }, password: testPasswords.demo } } },
    {},
    receipt,
  )
  assert.equal(strangers.status, 401)
})

test("an application credential does what it was given, and less when its user loses a role", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const id = await makeUser(cloud, admin, "dev")
  const grant = await grantOnDemo(cloud, admin, id, "member")
  const token = await cloud.token("dev", "dev-pw", defaultProject("demo"))
  const path = `/users/${id}/application_credentials`
  const make = (by: string, body: object) =>
    cloud.send("POST", path, { token: by, body: { application_credential: body } })
  const made = await make(token, { name: "ci", roles: [{ name: "reader" }] })
  assert.equal(made.status, 201)
  assert.equal((await make(token, { name: "greedy", roles: [{ name: "admin" }] })).status, 400)
  assert.equal((await make(token, { name: "ci" })).status, 409)
  const { secret } = made.body.application_credential
  const shown = await cloud.send("GET", `${path}/${made.body.application_credential.id}`, { token })
  assert.ok(!("secret" in shown.body.application_credential))
  const method = { application_credential: { id: made.body.application_credential.id, secret } }
  const used = await login(cloud, method)
  assert.equal(used.status, 201)
  assert.deepEqual(
    used.body.token.roles.map((r: { name: string }) => r.name),
    ["reader"],
  )
  assert.equal((await login(cloud, method, { scope: defaultProject("admin") })).status, 401)
  const restricted = String(used.headers["x-subject-token"])
  assert.equal((await make(restricted, { name: "more" })).status, 403)
  const wrong = { application_credential: { id: made.body.application_credential.id, secret: "guess" } }
  assert.equal((await login(cloud, wrong)).status, 401)
  assert.equal((await cloud.send("DELETE", grant, { token: admin })).status, 204)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: restricted })).status, 401)
  assert.equal((await login(cloud, method)).status, 401)
})

test("a trust lends roles, counts its uses, and ends with its trustor's role", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const trustor = await makeUser(cloud, admin, "owner")
  const trustee = await makeUser(cloud, admin, "friend")
  const grant = await grantOnDemo(cloud, admin, trustor, "member")
  const project_id = await idOf(cloud, admin, "projects", "demo")
  const token = await cloud.token("owner", "owner-pw", defaultProject("demo"))
  const body = {
    trust: {
      trustor_user_id: trustor,
      trustee_user_id: trustee,
      project_id,
      impersonation: true,
      remaining_uses: 2,
      roles: [{ name: "reader" }],
    },
  }
  const made = await cloud.send("POST", "/OS-TRUST/trusts", { token, body })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const friend = await cloud.token("friend", "friend-pw")
  assert.equal((await cloud.send("POST", "/OS-TRUST/trusts", { token: friend, body })).status, 403)
  const scope = { "OS-TRUST:trust": { id: made.body.trust.id } }
  const use = () => cloud.send("POST", "/auth/tokens", { body: passwordLogin("friend", "friend-pw", scope) })
  const lent = await use()
  assert.equal(lent.status, 201)
  assert.equal(lent.body.token.user.id, trustor)
  assert.deepEqual(
    lent.body.token.roles.map((r: { name: string }) => r.name),
    ["reader"],
  )
  const id = String(lent.headers["x-subject-token"])
  const again = await login(cloud, { token: { id } }, { scope: defaultProject("demo") })
  assert.equal(again.status, 403)
  assert.equal((await use()).status, 201)
  assert.equal((await use()).status, 401)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: id })).status, 200)
  assert.equal((await cloud.send("DELETE", grant, { token: admin })).status, 204)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: id })).status, 401)
})

test("an EC2 key is kept encrypted and signs for its user and project", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const token = await cloud.token("demo", testPasswords.demo)
  const me = await idOf(cloud, admin, "users", "demo")
  const tenant_id = await idOf(cloud, admin, "projects", "demo")
  const made = await cloud.send("POST", `/users/${me}/credentials/OS-EC2`, { token, body: { tenant_id } })
  assert.equal(made.status, 201)
  const { access, secret } = made.body.credential
  const stored = await cloud.database.pool.query("select encrypted_blob from identity.credential")
  assert.match(stored.rows[0].encrypted_blob, /^gAAAA/)
  const params = { AWSAccessKeyId: access, Action: "X", SignatureMethod: "HmacSHA256", SignatureVersion: "2" }
  const query = Object.entries(params)
    .map(([k, v]) => `${k}=${v}`)
    .join("&")
  const signature = createHmac("sha256", secret).update(`POST\nec2:8773\n/\n${query}`).digest("base64")
  const credentials = { access, signature, host: "ec2:8773", verb: "POST", path: "/", params }
  const use = (by: string, changes: object = {}) =>
    cloud.send("POST", "/ec2tokens", { token: by, body: { credentials: { ...credentials, ...changes } } })
  assert.equal((await use(token)).status, 403)
  const used = await use(admin)
  assert.equal(used.status, 200)
  assert.equal(used.body.token.user.id, me)
  assert.equal(used.body.token.project.id, tenant_id)
  assert.equal((await use(admin, { path: "/other" })).status, 401)
  assert.equal((await use(admin, { access: "nobody" })).status, 404)
})

test("access rules of an application credential hold at the door", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.token("demo", testPasswords.demo, defaultProject("demo"))
  const admin = await cloud.adminToken()
  const id = await idOf(cloud, admin, "users", "demo")
  const access_rules = [{ service: "identity", method: "GET", path: "/v3/auth/projects" }]
  const made = await cloud.send("POST", `/users/${id}/application_credentials`, {
    token,
    body: { application_credential: { name: "narrow", access_rules } },
  })
  const { secret, id: credentialId } = made.body.application_credential
  const used = await login(cloud, { application_credential: { id: credentialId, secret } })
  const narrow = String(used.headers["x-subject-token"])
  assert.equal((await cloud.send("GET", "/auth/projects", { token: narrow })).status, 200)
  assert.equal((await cloud.send("GET", "/auth/domains", { token: narrow })).status, 401)
  assert.equal((await cloud.send("GET", `/users/${id}`, { token: narrow })).status, 401)
})

test("who guesses from one address is slowed down, at logins and at changes of passwords", async () => {
  await using cloud = await startTestIdentity({ overrides: { "identity.loginFailuresPerMinuteMax": 3 } })
  const admin = await cloud.adminToken()
  const id = await idOf(cloud, admin, "users", "demo")
  const guess = (user: string) => cloud.send("POST", "/auth/tokens", { body: passwordLogin(user, "guess") })
  const body = { user: { original_password: "guess", password: "mine" } }
  const change = () => cloud.send("POST", `/users/${id}/password`, { body })
  assert.deepEqual(
    [(await guess("demo")).status, (await guess("nobody")).status, (await change()).status],
    [401, 401, 401],
  )
  const refused = await guess("admin")
  assert.equal(refused.status, 429)
  assert.deepEqual(refused.body.error, {
    code: 429,
    message: "Too many failed logins; try again later.",
    title: "Too Many Requests",
  })
  assert.ok(Number(refused.headers["retry-after"]) > 0)
  assert.equal((await change()).status, 429)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: admin })).status, 200)
})
