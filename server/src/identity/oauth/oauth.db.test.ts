import assert from "node:assert/strict"
import { createHmac, randomBytes } from "node:crypto"
import { test } from "node:test"
import { sql } from "kysely"
import { startTestIdentity, type TestIdentity, type TestReply } from "../../../test/identity-cloud.ts"
import { percentEncode } from "./signature.ts"

interface Key {
  id: string
  secret: string
}

interface Signing {
  consumer: Key
  token?: Key
  more?: Record<string, string>
  headers?: Record<string, string>
  hash?: "SHA1" | "SHA256" | "SHA512" | "PLAINTEXT"
  /** Seconds from now. */
  ago?: number
  body?: unknown
}

function hmac(hash: string, key: string, text: string): string {
  return createHmac(hash.toLowerCase(), key).update(text).digest("base64")
}

/** Signs as a client does: no code of the server takes part but the percent encoding. */
function authorization(path: string, { consumer, token, more, hash = "SHA1", ago = 0 }: Signing): string {
  const oauth: Record<string, string> = {
    oauth_consumer_key: consumer.id,
    oauth_nonce: randomBytes(8).toString("hex"),
    oauth_signature_method: hash === "PLAINTEXT" ? hash : `HMAC-${hash}`,
    oauth_timestamp: String(Math.floor(Date.now() / 1000) - ago),
    oauth_version: "1.0",
    ...(token ? { oauth_token: token.id } : {}),
    ...more,
  }
  const parameters = Object.keys(oauth)
    .sort()
    .map((name) => `${percentEncode(name)}=${percentEncode(oauth[name] ?? "")}`)
    .join("&")
  const text = ["POST", `http://localhost:80/v3${path}`.replace(":80", ""), parameters]
    .map(percentEncode)
    .join("&")
  const key = `${percentEncode(consumer.secret)}&${percentEncode(token?.secret ?? "")}`
  oauth.oauth_signature = hash === "PLAINTEXT" ? key : hmac(hash, key, text)
  const pairs = Object.entries(oauth).map(([name, value]) => `${name}="${percentEncode(value)}"`)
  return `OAuth ${pairs.join(", ")}`
}

async function sendSigned(cloud: TestIdentity, path: string, signing: Signing): Promise<TestReply> {
  const headers = { host: "localhost", authorization: authorization(path, signing), ...signing.headers }
  return await cloud.send("POST", path, { headers, ...(signing.body ? { body: signing.body } : {}) })
}

function keyOf(reply: TestReply): Key & { expiresAt: string | null } {
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  assert.equal(reply.headers["content-type"], "application/x-www-form-urlencoded")
  assert.ok(!reply.body.includes("%"), "the time comes as it is")
  const form = new URLSearchParams(reply.body)
  return {
    id: form.get("oauth_token") ?? "",
    secret: form.get("oauth_token_secret") ?? "",
    expiresAt: form.get("oauth_expires_at"),
  }
}

interface Scene {
  admin: string
  user: string
  project: string
  roles: Record<string, string>
  consumer: Key
}

async function scene(cloud: TestIdentity): Promise<Scene> {
  const admin = await cloud.adminToken()
  const get = async (path: string) => (await cloud.send("GET", path, { token: admin })).body
  const roles = Object.fromEntries(
    (await get("/roles")).roles.map((role: { id: string; name: string }) => [role.name, role.id]),
  )
  const made = await cloud.send("POST", "/OS-OAUTH1/consumers", { token: admin, body: { consumer: {} } })
  return {
    admin,
    user: (await get("/users?name=admin")).users[0].id,
    project: (await get("/projects?name=demo")).projects[0].id,
    roles,
    consumer: made.body.consumer,
  }
}

async function askFor(cloud: TestIdentity, { consumer, project }: Scene, more: Partial<Signing> = {}) {
  const headers = { "requested-project-id": project }
  return await sendSigned(cloud, "/OS-OAUTH1/request_token", {
    consumer,
    headers,
    more: { oauth_callback: "oob" },
    ...more,
  })
}

async function authorize(
  cloud: TestIdentity,
  { admin }: Scene,
  id: string,
  roles: object[],
): Promise<TestReply> {
  return await cloud.send("PUT", `/OS-OAUTH1/authorize/${id}`, { token: admin, body: { roles } })
}

async function accessKey(cloud: TestIdentity, at: Scene, roles: readonly string[]) {
  const request = keyOf(await askFor(cloud, at))
  const given = await authorize(
    cloud,
    at,
    request.id,
    roles.map((name) => ({ id: at.roles[name] })),
  )
  assert.equal(given.status, 200, JSON.stringify(given.body))
  const oauth_verifier: string = given.body.token.oauth_verifier
  assert.match(oauth_verifier, /^[A-Za-z0-9]{8}$/)
  const more = { oauth_verifier }
  const reply = await sendSigned(cloud, "/OS-OAUTH1/access_token", {
    consumer: at.consumer,
    token: request,
    more,
  })
  return { key: keyOf(reply), request, more }
}

function login(cloud: TestIdentity, { consumer }: Scene, token: Key, more: Partial<Signing> = {}) {
  const body = { auth: { identity: { methods: ["oauth1"], oauth1: {} } } }
  return sendSigned(cloud, "/auth/tokens", { consumer, token, body, ...more })
}

test("a consumer gets a token of the user, on one project, with the roles that were given and no others", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const { key, request, more } = await accessKey(cloud, at, ["reader"])
  assert.match(key.expiresAt ?? "", /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  const reply = await login(cloud, at, key)
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  const { token } = reply.body
  assert.deepEqual(token.methods, ["oauth1"])
  assert.equal(token.user.id, at.user)
  assert.equal(token.project.id, at.project)
  assert.deepEqual(
    token.roles.map((role: { name: string }) => role.name),
    ["reader"],
  )
  assert.deepEqual(token["OS-OAUTH1"], { access_token_id: key.id, consumer_id: at.consumer.id })
  // The request token is used up.
  const again = await sendSigned(cloud, "/OS-OAUTH1/access_token", {
    consumer: at.consumer,
    token: request,
    more,
  })
  assert.equal(again.status, 404)
  for (const hash of ["SHA256", "SHA512", "PLAINTEXT"] as const)
    assert.equal((await login(cloud, at, key, { hash })).status, 201)
})

test("an access token that is taken back ends its tokens, and so do its consumer and a lost role", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const tokenOf = async (key: Key) => String((await login(cloud, at, key)).headers["x-subject-token"])
  const isGood = async (token: string) =>
    (await cloud.send("GET", "/auth/projects", { token })).status === 200
  const first = (await accessKey(cloud, at, ["member"])).key
  const token = await tokenOf(first)
  assert.ok(await isGood(token))
  const path = `/users/${at.user}/OS-OAUTH1/access_tokens/${first.id}`
  assert.equal((await cloud.send("DELETE", path, { token: at.admin })).status, 204)
  assert.ok(!(await isGood(token)))
  assert.equal((await login(cloud, at, first)).status, 401)
  assert.equal((await cloud.send("GET", path, { token: at.admin })).status, 404)
  const second = (await accessKey(cloud, at, ["admin"])).key
  const other = await tokenOf(second)
  const grant = `/projects/${at.project}/users/${at.user}/roles/${at.roles.admin}`
  assert.equal((await cloud.send("DELETE", grant, { token: at.admin })).status, 204)
  assert.ok(!(await isGood(other)))
  assert.equal((await cloud.send("PUT", grant, { token: at.admin })).status, 204)
  assert.ok(await isGood(other))
  assert.equal(
    (await cloud.send("DELETE", `/OS-OAUTH1/consumers/${at.consumer.id}`, { token: at.admin })).status,
    204,
  )
  assert.ok(!(await isGood(other)))
})

test("users see what they gave", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const { key } = await accessKey(cloud, at, ["reader", "member"])
  const base = `/users/${at.user}/OS-OAUTH1/access_tokens`
  const get = async (path: string) => (await cloud.send("GET", path, { token: at.admin })).body
  const [listed] = (await get(base)).access_tokens
  assert.equal(listed.id, key.id)
  assert.deepEqual(listed, (await get(`${base}/${key.id}`)).access_token)
  assert.ok(!JSON.stringify(listed).includes(key.secret))
  assert.match(listed.links.roles, new RegExp(`${base}/${key.id}/roles$`))
  const { roles } = await get(`${base}/${key.id}/roles`)
  assert.deepEqual(
    roles.map((role: { name: string }) => role.name),
    ["member", "reader"],
  )
  assert.equal((await get(`${base}/${key.id}/roles/${at.roles.reader}`)).role.name, "reader")
  const none = await cloud.send("GET", `${base}/${key.id}/roles/${at.roles.admin}`, { token: at.admin })
  assert.equal(none.status, 404)
  const strangers = await cloud.send("GET", `/users/x/OS-OAUTH1/access_tokens/${key.id}`, { token: at.admin })
  assert.equal(strangers.status, 404)
})

test("what is not signed right, is old, or was sent before is refused", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const wrong = { ...at.consumer, secret: "wrong" }
  assert.equal((await askFor(cloud, at, { consumer: wrong })).status, 401)
  assert.equal((await askFor(cloud, at, { ago: 901 })).status, 401)
  assert.equal((await askFor(cloud, at, { ago: -901 })).status, 401)
  assert.equal((await askFor(cloud, at, { consumer: { id: "nobody", secret: "" } })).status, 404)
  assert.equal((await askFor(cloud, at, { headers: {} })).status, 400)
  assert.equal((await askFor(cloud, at, { headers: { "requested-project-id": "gone" } })).status, 404)
  assert.equal((await cloud.send("POST", "/OS-OAUTH1/request_token")).status, 400)
  const path = "/OS-OAUTH1/request_token"
  const headers = {
    host: "localhost",
    "requested-project-id": at.project,
    authorization: authorization(path, { consumer: at.consumer }),
  }
  assert.equal((await cloud.send("POST", path, { headers })).status, 201)
  assert.equal((await cloud.send("POST", path, { headers })).status, 401)
})

test("only what a user gave, with the verifier that he was told, in time", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const exchange = (token: Key, oauth_verifier: string, consumer = at.consumer) =>
    sendSigned(cloud, "/OS-OAUTH1/access_token", { consumer, token, more: { oauth_verifier } })
  const request = keyOf(await askFor(cloud, at))
  assert.equal((await exchange(request, "AAAAAAAA")).status, 401)
  assert.equal((await authorize(cloud, at, "gone", [])).status, 404)
  assert.equal((await authorize(cloud, at, request.id, [{ id: "gone" }])).status, 404)
  assert.equal((await authorize(cloud, at, request.id, [{ id: "a", name: "b" }])).status, 400)
  // The administrator has no role `service`.
  assert.equal((await authorize(cloud, at, request.id, [{ id: at.roles.service }])).status, 401)
  const given = await authorize(cloud, at, request.id, [{ name: "reader" }])
  const { oauth_verifier } = given.body.token
  assert.equal((await exchange(request, "AAAAAAAA")).status, 401)
  assert.equal((await exchange({ ...request, secret: "x" }, oauth_verifier)).status, 401)
  const other = await cloud.send("POST", "/OS-OAUTH1/consumers", { token: at.admin, body: { consumer: {} } })
  assert.equal((await exchange(request, oauth_verifier, other.body.consumer)).status, 401)
  await sql`update identity.oauth_request_token set expires_at = now() - interval '1 s'`.execute(
    cloud.database.db,
  )
  assert.equal((await exchange(request, oauth_verifier)).status, 401)
  assert.equal((await authorize(cloud, at, request.id, [{ name: "reader" }])).status, 401)
})

test("an access token makes nothing that lives on without it", async () => {
  await using cloud = await startTestIdentity()
  const at = await scene(cloud)
  const { key } = await accessKey(cloud, at, ["admin"])
  const token = String((await login(cloud, at, key)).headers["x-subject-token"])
  const post = async (path: string, body: object) => (await cloud.send("POST", path, { token, body })).status
  const identity = { methods: ["token"], token: { id: token } }
  assert.equal(await post("/auth/tokens", { auth: { identity } }), 403)
  assert.equal(
    await post(`/users/${at.user}/application_credentials`, { application_credential: { name: "x" } }),
    403,
  )
  const trust = { trustor_user_id: at.user, trustee_user_id: at.user, impersonation: false }
  assert.equal(await post("/OS-TRUST/trusts", { trust }), 403)
  const request = keyOf(await askFor(cloud, at))
  const given = await cloud.send("PUT", `/OS-OAUTH1/authorize/${request.id}`, { token, body: { roles: [] } })
  assert.equal(given.status, 403)
  // An EC2 key may be made, for the same project; it goes with the access token.
  const made = await cloud.send("POST", `/users/${at.user}/credentials/OS-EC2`, {
    token,
    body: { tenant_id: at.project },
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const { findEc2Key, issueTokenForEc2Key } = await import("../auth/ec2.ts")
  const ec2Key = await findEc2Key(cloud.platform, made.body.credential.access)
  assert.equal(ec2Key?.accessTokenId, key.id)
  assert.equal((await issueTokenForEc2Key(cloud.platform, ec2Key)).token.accessToken?.id, key.id)
  const path = `/users/${at.user}/OS-OAUTH1/access_tokens/${key.id}`
  assert.equal((await cloud.send("DELETE", path, { token: at.admin })).status, 204)
  await assert.rejects(issueTokenForEc2Key(cloud.platform, ec2Key))
})
