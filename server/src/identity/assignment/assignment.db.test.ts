import assert from "node:assert/strict"
import { test } from "node:test"
import { startTestIdentity, type TestIdentity } from "../../../test/identity-cloud.ts"

async function make(cloud: TestIdentity, token: string, kind: string, body: object): Promise<string> {
  const reply = await cloud.send("POST", `/${kind}s`, { token, body: { [kind]: body } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[kind].id
}

async function put(cloud: TestIdentity, token: string, path: string): Promise<void> {
  assert.equal((await cloud.send("PUT", path, { token })).status, 204, path)
}

test("effective assignments take groups, inheritance and implied roles apart", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const domain = await make(cloud, token, "domain", { name: "acme" })
  const top = await make(cloud, token, "project", { name: "top", domain_id: domain })
  const leaf = await make(cloud, token, "project", { name: "leaf", parent_id: top, domain_id: domain })
  const user = await make(cloud, token, "user", { name: "ann", domain_id: domain, password: "pw" })
  const group = await make(cloud, token, "group", { name: "ops", domain_id: domain })
  const prior = await make(cloud, token, "role", { name: "operator" })
  const implied = await make(cloud, token, "role", { name: "watcher" })
  await put(cloud, token, `/groups/${group}/users/${user}`)
  assert.equal((await cloud.send("PUT", `/roles/${prior}/implies/${implied}`, { token })).status, 201)
  await put(
    cloud,
    token,
    `/OS-INHERIT/domains/${domain}/groups/${group}/roles/${prior}/inherited_to_projects`,
  )

  const list = async (query: string) =>
    (await cloud.send("GET", `/role_assignments?${query}`, { token })).body.role_assignments as {
      role: { id: string; name?: string }
      scope: { project?: { id: string; name?: string }; domain?: { id: string } }
      user?: { id: string; domain?: { name: string } }
      group?: { id: string }
      links: { assignment: string; membership?: string; prior_role?: string }
    }[]
  const plain = await list(`group.id=${group}`)
  assert.equal(plain.length, 1)
  assert.equal(plain[0]?.group?.id, group)
  const effective = await list(`user.id=${user}&effective`)
  const found = effective.map((row) => `${row.scope.project?.id} ${row.role.id}`).sort()
  assert.deepEqual(
    found,
    [`${top} ${prior}`, `${top} ${implied}`, `${leaf} ${prior}`, `${leaf} ${implied}`].sort(),
  )
  for (const row of effective) {
    assert.equal(row.user?.id, user)
    assert.equal(row.group, undefined)
    assert.match(row.links.membership ?? "", new RegExp(`/groups/${group}/users/${user}$`))
    assert.match(
      row.links.assignment,
      new RegExp(`/OS-INHERIT/domains/${domain}/groups/${group}/roles/${prior}/`),
    )
  }
  const named = await list(`user.id=${user}&effective&include_names&scope.project.id=${leaf}`)
  assert.deepEqual(new Set(named.map((row) => row.role.name)), new Set(["operator", "watcher"]))
  assert.equal(named[0]?.scope.project?.name, "leaf")
  assert.equal(named[0]?.user?.domain?.name, "acme")
  // And the token is the same truth.
  const login = await cloud.send("POST", "/auth/tokens", {
    body: {
      auth: {
        identity: { methods: ["password"], password: { user: { id: user, password: "pw" } } },
        scope: { project: { id: leaf } },
      },
    },
  })
  assert.deepEqual(
    login.body.token.roles.map((r: { name: string }) => r.name),
    ["operator", "watcher"],
  )
  const bad = await cloud.send("GET", `/role_assignments?effective&group.id=${group}`, { token })
  assert.equal(bad.status, 400)
})

test("a domain's manager manages its own domain only, and cannot make administrators", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const roles = (await cloud.send("GET", "/roles", { token })).body.roles as { id: string; name: string }[]
  const role = (name: string) => roles.find((r) => r.name === name)?.id ?? ""
  const domain = await make(cloud, token, "domain", { name: "acme" })
  const project = await make(cloud, token, "project", { name: "p", domain_id: domain })
  const manager = await make(cloud, token, "user", { name: "max", domain_id: domain, password: "pw" })
  await put(cloud, token, `/domains/${domain}/users/${manager}/roles/${role("manager")}`)
  const login = await cloud.send("POST", "/auth/tokens", {
    body: {
      auth: {
        identity: { methods: ["password"], password: { user: { id: manager, password: "pw" } } },
        scope: { domain: { id: domain } },
      },
    },
  })
  const own = String(login.headers["x-subject-token"])
  const user = await make(cloud, own, "user", { name: "new", domain_id: domain })
  await put(cloud, own, `/projects/${project}/users/${user}/roles/${role("member")}`)
  const refused = [
    ["PUT", `/projects/${project}/users/${user}/roles/${role("admin")}`],
    ["PUT", `/system/users/${manager}/roles/${role("admin")}`],
    ["GET", "/domains/default"],
    ["POST", "/users"],
    ["POST", "/roles"],
    ["DELETE", `/domains/${domain}`],
  ] as const
  for (const [method, path] of refused) {
    const body = path === "/users" ? { user: { name: "x", domain_id: "default" } } : { role: { name: "x" } }
    const reply = await cloud.send(method, path, { token: own, ...(method === "POST" ? { body } : {}) })
    assert.equal(reply.status, 403, `${method} ${path}`)
    assert.match(
      reply.body.error.message,
      /^You are not authorized to perform the requested action: identity:/,
    )
  }
  const users = (await cloud.send("GET", "/users", { token: own })).body.users as { domain_id: string }[]
  assert.deepEqual(new Set(users.map((u) => u.domain_id)), new Set([domain]))
})
