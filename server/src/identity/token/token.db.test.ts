import assert from "node:assert/strict"
import { test } from "node:test"
import {
  defaultProject,
  passwordLogin,
  startTestIdentity,
  testPasswords,
} from "../../../test/identity-cloud.ts"

test("a password gives a token whose validation shows the same", async () => {
  await using cloud = await startTestIdentity()
  const login = await cloud.send("POST", "/auth/tokens", {
    body: passwordLogin("demo", testPasswords.demo, defaultProject("demo")),
  })
  assert.equal(login.status, 201)
  const id = String(login.headers["x-subject-token"])
  assert.match(id, /^gAAAA[A-Za-z0-9_-]+$/)
  assert.ok(id.length < 255)
  const seen = await cloud.send("GET", "/auth/tokens", { token: id, headers: { "x-subject-token": id } })
  assert.equal(seen.status, 200)
  assert.deepEqual(seen.body, login.body)
  const { token } = login.body
  assert.deepEqual(
    token.roles.map((r: { name: string }) => r.name),
    ["member", "reader"],
  )
  assert.equal(token.project.name, "demo")
  assert.equal(token.user.domain.name, "Default")
  const swift = token.catalog.find((s: { type: string }) => s.type === "object-store")
  assert.equal(swift.endpoints[0].url, `http://127.0.0.1:5000/v1/AUTH_${token.project.id}`)
})

test("each scope has its own content", async () => {
  await using cloud = await startTestIdentity()
  const login = async (scope: unknown) =>
    (await cloud.send("POST", "/auth/tokens", { body: passwordLogin("admin", testPasswords.admin, scope) }))
      .body.token
  const unscoped = await login("unscoped")
  for (const key of ["project", "domain", "system", "roles", "catalog"]) assert.ok(!(key in unscoped), key)
  const byDefault = await login(undefined)
  assert.equal(byDefault.project.name, "admin")
  const domain = await login({ domain: { id: "default" } })
  assert.equal(domain.domain.name, "Default")
  assert.ok(!("project" in domain))
  const system = await login({ system: { all: true } })
  assert.deepEqual(system.system, { all: true })
  assert.deepEqual(
    system.roles.map((r: { name: string }) => r.name),
    ["admin", "manager", "member", "reader"],
  )
})

test("what is wrong with a login is not told", async () => {
  await using cloud = await startTestIdentity()
  const wrong = [
    passwordLogin("demo", "wrong"),
    passwordLogin("nobody", "wrong"),
    passwordLogin("demo", testPasswords.demo, defaultProject("admin")),
    passwordLogin("demo", testPasswords.demo, { system: { all: true } }),
    passwordLogin("demo", testPasswords.demo, { project: { id: "gone" } }),
  ]
  const bodies = new Set<string>()
  for (const body of wrong) {
    const reply = await cloud.send("POST", "/auth/tokens", { body })
    assert.equal(reply.status, 401)
    assert.match(String(reply.headers["www-authenticate"]), /^Keystone uri="http/)
    bodies.add(JSON.stringify(reply.body))
  }
  assert.deepEqual(
    [...bodies],
    [
      JSON.stringify({
        error: {
          code: 401,
          message: "The request you have made requires authentication.",
          title: "Unauthorized",
        },
      }),
    ],
  )
  for (const body of [{}, { auth: {} }, { auth: { identity: { methods: ["password"] } } }, { auth: 7 }]) {
    const reply = await cloud.send("POST", "/auth/tokens", { body })
    assert.equal(reply.status, 400, JSON.stringify(body))
    assert.equal(reply.body.error.title, "Bad Request")
  }
})

test("a revoked token is gone at once, here and in another process; its children live", async () => {
  await using cloud = await startTestIdentity()
  await using other = await startTestIdentity({ sharing: cloud })
  const parent = await cloud.token("demo", testPasswords.demo, "unscoped")
  const child = await cloud.send("POST", "/auth/tokens", {
    body: {
      auth: { identity: { methods: ["token"], token: { id: parent } }, scope: defaultProject("demo") },
    },
  })
  assert.equal(child.status, 201)
  assert.deepEqual(new Set(child.body.token.methods), new Set(["password", "token"]))
  const childId = String(child.headers["x-subject-token"])
  assert.equal((await other.send("GET", "/auth/projects", { token: parent })).status, 200)
  const revoked = await cloud.send("DELETE", "/auth/tokens", {
    token: parent,
    headers: { "x-subject-token": parent },
  })
  assert.equal(revoked.status, 204)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: parent })).status, 401)
  await eventuallyRefused(other, parent)
  assert.equal((await cloud.send("GET", "/auth/projects", { token: childId })).status, 200)
  const admin = await cloud.adminToken()
  const lookup = await cloud.send("GET", "/auth/tokens", {
    token: admin,
    headers: { "x-subject-token": parent },
  })
  assert.equal(lookup.status, 404)
})

async function eventuallyRefused(cloud: Awaited<ReturnType<typeof startTestIdentity>>, token: string) {
  const { eventually } = await import("../../platform/clock/clock.ts")
  await eventually("the other process to refuse", async () => {
    return (await cloud.send("GET", "/auth/projects", { token })).status === 401
  })
}

test("only its user, an administrator or a service may look at a token", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const demo = await cloud.token("demo", testPasswords.demo)
  const look = (by: string, at: string) =>
    cloud.send("HEAD", "/auth/tokens", { token: by, headers: { "x-subject-token": at } })
  assert.equal((await look(admin, demo)).status, 200)
  assert.equal((await look(demo, admin)).status, 403)
  assert.equal((await look(demo, "gAAAAnonsense")).status, 404)
})

test("versions are shown at the mount, at the root and under v3", async () => {
  await using cloud = await startTestIdentity({ publicUrl: "http://cloud:5000" })
  for (const [url, self] of [
    ["/identity", "/identity/v3/"],
    ["/identity/", "/identity/v3/"],
    ["/", "/v3/"],
  ] as const) {
    const reply = await cloud.server.inject({ method: "GET", url, headers: { host: "elsewhere:5000" } })
    assert.equal(reply.statusCode, 300)
    assert.equal(reply.json().versions.values[0].links[0].href, `http://cloud:5000${self}`)
  }
  const v3 = await cloud.server.inject({ method: "GET", url: "/identity/v3/" })
  assert.equal(v3.statusCode, 200)
  assert.equal(v3.json().version.id, "v3.14")
})
