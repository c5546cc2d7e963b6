// What a token of a domain sees and makes: its own domain's and nothing else.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestIdentity, type TestIdentity } from "../../test/identity-cloud.ts"

let cloud: TestIdentity
let admin: string
let acme: string
let manager: string
let roles: Record<string, string>

before(async () => {
  cloud = await startTestIdentity()
  admin = await cloud.adminToken()
  const all = (await cloud.send("GET", "/roles", { token: admin })).body.roles
  roles = Object.fromEntries(all.map((role: { name: string; id: string }) => [role.name, role.id]))
  acme = await make("domain", { name: "acme" })
  manager = await domainToken("ann", roles.manager ?? "")
})
after(async () => await cloud[Symbol.asyncDispose]())

async function make(noun: string, body: object, token = admin): Promise<string> {
  const reply = await cloud.send("POST", `/${noun}s`, { token, body: { [noun]: body } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[noun].id
}

async function put(path: string): Promise<number> {
  return (await cloud.send("PUT", path, { token: admin })).status
}

async function domainToken(name: string, role: string): Promise<string> {
  const id = await make("user", { name, password: "secret-pw", domain_id: acme })
  assert.equal(await put(`/domains/${acme}/users/${id}/roles/${role}`), 204)
  const identity = { methods: ["password"], password: { user: { id, password: "secret-pw" } } }
  const auth = { identity, scope: { domain: { id: acme } } }
  const reply = await cloud.send("POST", "/auth/tokens", { body: { auth } })
  return String(reply.headers["x-subject-token"])
}

test("a user's groups and a group's users", async () => {
  const user = await make("user", { name: "bob", domain_id: acme })
  const foreignUser = await make("user", { name: "carol" })
  const group = await make("group", { name: "here", domain_id: acme })
  const foreignGroup = await make("group", { name: "elsewhere" })
  for (const [g, u] of [
    [group, user],
    [group, foreignUser],
    [foreignGroup, user],
  ])
    assert.equal(await put(`/groups/${g}/users/${u}`), 204)
  const ids = async (path: string, key: string, token: string) =>
    (await cloud.send("GET", path, { token })).body[key].map((one: { id: string }) => one.id).sort()
  assert.deepEqual(await ids(`/users/${user}/groups`, "groups", manager), [group])
  assert.deepEqual(await ids(`/groups/${group}/users`, "users", manager), [user])
  assert.deepEqual(await ids(`/users/${user}/groups`, "groups", admin), [group, foreignGroup].sort())
  assert.deepEqual(await ids(`/groups/${group}/users`, "users", admin), [user, foreignUser].sort())
})

test("limits: of the token's domain and its projects, whatever the roles", async () => {
  const [service] = (await cloud.send("GET", "/services?type=compute", { token: admin })).body.services
  const registered = { service_id: service.id, resource_name: "widgets", default_limit: 5 }
  const made = await cloud.send("POST", "/registered_limits", {
    token: admin,
    body: { registered_limits: [registered] },
  })
  assert.equal(made.status, 201, JSON.stringify(made.body))
  const own = await make("project", { name: "own", domain_id: acme })
  const foreign = await make("project", { name: "foreign" })
  const { default_limit: _, ...limit } = { ...registered, resource_limit: 3 }
  const limits = [
    { ...limit, project_id: own },
    { ...limit, project_id: foreign },
    { ...limit, domain_id: acme },
  ]
  assert.equal((await cloud.send("POST", "/limits", { token: admin, body: { limits } })).status, 201)
  const places = async (token: string) =>
    (await cloud.send("GET", "/limits", { token })).body.limits
      .map((one: { project_id: string | null; domain_id: string | null }) => one.project_id ?? one.domain_id)
      .sort()
  assert.deepEqual(await places(manager), [own, acme].sort())
  const domainAdmin = await domainToken("root-of-acme", roles.admin ?? "")
  assert.deepEqual(await places(domainAdmin), [own, acme].sort())
  const system = await cloud.token("admin", "admin-pw", { system: { all: true } })
  assert.deepEqual(await places(system), [own, foreign, acme].sort())
})

test("what a manager makes is in the own domain, by name", async () => {
  for (const noun of ["user", "group", "project"]) {
    const status = async (domain: object) => {
      const body = { [noun]: { name: `new-${noun}`, ...domain } }
      return (await cloud.send("POST", `/${noun}s`, { token: manager, body })).status
    }
    assert.equal(await status({}), 403, noun)
    assert.equal(await status({ domain_id: "default" }), 403, noun)
    assert.equal(await status({ domain_id: acme }), 201, noun)
  }
})

test("a domain's own role: on any domain, but only on projects of its own", async () => {
  const role = await make("role", { name: "of-acme", domain_id: acme })
  const other = await make("domain", { name: "other" })
  const user = await make("user", { name: "dora", domain_id: other })
  const group = await make("group", { name: "doras", domain_id: other })
  const [near, far] = [
    await make("project", { name: "near", domain_id: acme }),
    await make("project", { name: "far", domain_id: other }),
  ]
  for (const actor of [`users/${user}`, `groups/${group}`]) {
    assert.equal(await put(`/domains/${other}/${actor}/roles/${role}`), 204)
    assert.equal(await put(`/OS-INHERIT/domains/${other}/${actor}/roles/${role}/inherited_to_projects`), 204)
    assert.equal(await put(`/projects/${near}/${actor}/roles/${role}`), 204)
    assert.equal(await put(`/projects/${far}/${actor}/roles/${role}`), 403)
    assert.equal(await put(`/OS-INHERIT/projects/${far}/${actor}/roles/${role}/inherited_to_projects`), 403)
  }
})
