import assert from "node:assert/strict"
import { test } from "node:test"
import { sql } from "kysely"
import { startTestIdentity, type TestIdentity, testPasswords } from "../../test/identity-cloud.ts"

async function make(cloud: TestIdentity, token: string, kind: string, body: object): Promise<string> {
  const reply = await cloud.send("POST", `/${kind}s`, { token, body: { [kind]: body } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[kind].id
}

test("lists are filtered, cut at a limit, and go on behind a marker", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  for (const name of ["alpha", "alpha-2", "beta", "100%"]) await make(cloud, token, "group", { name })
  const names = async (query: string) => {
    const reply = await cloud.send("GET", `/groups?${query}`, { token })
    assert.equal(reply.status, 200, JSON.stringify(reply.body))
    return reply.body.groups.map((g: { name: string }) => g.name)
  }
  assert.deepEqual(await names(""), ["100%", "alpha", "alpha-2", "beta"])
  assert.deepEqual(await names("name=beta"), ["beta"])
  assert.deepEqual(await names("name__contains=lpha"), ["alpha", "alpha-2"])
  assert.deepEqual(await names("name__istartswith=ALPHA-"), ["alpha-2"])
  assert.deepEqual(await names("name__endswith=%25"), ["100%"])
  assert.deepEqual(await names("domain_id=elsewhere"), [])
  const pages: string[] = []
  let path = "/groups?limit=3"
  for (let page = 0; page < 5 && path; page++) {
    const { body } = await cloud.send("GET", path, { token })
    pages.push(body.groups.map((g: { name: string }) => g.name).join(" "))
    path = body.links.next ? `/groups${new URL(body.links.next).search}` : ""
  }
  assert.deepEqual(pages, ["100% alpha alpha-2", "beta"])
  const strange = await cloud.send("GET", "/groups?marker=nothing", { token })
  assert.equal(strange.status, 400)
  assert.match(strange.body.error.message, /marker/)
})

test("bad input is answered with 400 that names the field", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const cases: [method: string, path: string, body: unknown, field: RegExp][] = [
    ["POST", "/projects", {}, /project/],
    ["POST", "/projects", { project: {} }, /name/],
    ["POST", "/projects", { project: { name: "x".repeat(65) } }, /name/],
    ["POST", "/projects", { project: { name: "   " } }, /name/],
    ["POST", "/projects", { project: { name: "p", enabled: "perhaps" } }, /enabled/],
    ["POST", "/projects", { project: { name: "p", parent_id: "gone" } }, /project/],
    ["POST", "/projects", { project: { name: "p", tags: "a" } }, /tags/],
    ["POST", "/users", { user: { name: 7 } }, /name/],
    ["POST", "/users", { user: { name: "u", options: { flies: true } } }, /flies/],
    ["POST", "/users", { user: { name: "u", default_project_id: "default" } }, /default project/],
    ["POST", "/roles", { role: { name: "" } }, /name/],
    [
      "POST",
      "/endpoints",
      { endpoint: { interface: "side", service_id: "x", url: "http://x" } },
      /interface/,
    ],
    [
      "POST",
      "/endpoints",
      { endpoint: { interface: "public", service_id: "x", url: "http://x" } },
      /service/,
    ],
    ["POST", "/limits", { limits: [] }, /limits/],
    [
      "POST",
      "/credentials",
      { credential: { type: "ec2", blob: "no json", user_id: "u", project_id: "p" } },
      /blob/,
    ],
  ]
  for (const [method, path, body, field] of cases) {
    const reply = await cloud.send(method, path, { token, body })
    assert.equal(reply.status, 400, `${path} ${JSON.stringify(body)}: ${JSON.stringify(reply.body)}`)
    assert.equal(reply.body.error.title, "Bad Request")
    assert.match(reply.body.error.message, field)
  }
})

test("names are taken once in a domain, things in use stay, and immutable ones too", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const send = async (method: string, path: string, body?: unknown) =>
    (await cloud.send(method, path, { token, ...(body === undefined ? {} : { body }) })).status
  const domain = await make(cloud, token, "domain", { name: "acme" })
  await make(cloud, token, "project", { name: "demo", domain_id: domain })
  assert.equal(await send("POST", "/projects", { project: { name: "demo", domain_id: domain } }), 409)
  assert.equal(await send("POST", "/domains", { domain: { name: "acme" } }), 409)
  assert.equal(await send("DELETE", `/domains/${domain}`), 403)
  const parent = await make(cloud, token, "project", { name: "parent", domain_id: domain })
  const child = await make(cloud, token, "project", { name: "child", parent_id: parent, domain_id: domain })
  assert.equal(await send("DELETE", `/projects/${parent}`), 403)
  assert.equal(await send("PATCH", `/projects/${parent}`, { project: { enabled: false } }), 403)
  assert.equal(await send("PATCH", `/projects/${child}`, { project: { enabled: false } }), 200)
  assert.equal(await send("PATCH", `/projects/${parent}`, { project: { enabled: false } }), 200)
  assert.equal(await send("PATCH", `/projects/${child}`, { project: { enabled: true } }), 403)
  assert.equal(await send("PATCH", `/projects/${child}`, { project: { domain_id: "default" } }), 400)
  const admin = (await cloud.send("GET", "/roles?name=admin", { token })).body.roles[0].id
  assert.equal(await send("DELETE", `/roles/${admin}`), 403)
  assert.equal(await send("DELETE", "/regions/RegionOne"), 403)
  assert.equal(await send("PATCH", `/domains/${domain}`, { domain: { enabled: false } }), 200)
  assert.equal(await send("DELETE", `/domains/${domain}`), 204)
  assert.equal(await send("GET", `/projects/${child}`), 404)
})

test("a stranger gets 403 for the foreign and the missing alike", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const token = await cloud.token("demo", testPasswords.demo)
  const me = (await cloud.send("GET", "/users?name=demo", { token: admin })).body.users[0].id
  const root = (await cloud.send("GET", "/users?name=admin", { token: admin })).body.users[0].id
  assert.equal((await cloud.send("GET", `/users/${me}`, { token })).status, 200)
  const replies = [
    await cloud.send("GET", `/users/${root}`, { token }),
    await cloud.send("GET", "/users/0123456789abcdef0123456789abcdef", { token }),
    await cloud.send("DELETE", `/users/${root}`, { token }),
    await cloud.send("GET", "/users", { token }),
  ]
  for (const reply of replies) assert.equal(reply.status, 403)
  assert.deepEqual(replies[0]?.body, replies[1]?.body)
  assert.equal(
    (await cloud.send("GET", "/users/0123456789abcdef0123456789abcdef", { token: admin })).status,
    404,
  )
  const nobody = await cloud.send("GET", "/users", {})
  assert.equal(nobody.status, 401)
})

test("limits of projects stay within those of their domain when the model says so", async () => {
  await using cloud = await startTestIdentity({
    overrides: { "identity.unifiedLimitModel": "strict_two_level" },
  })
  const token = await cloud.adminToken()
  const service_id = (await cloud.send("GET", "/services?type=compute", { token })).body.services[0].id
  const domain_id = await make(cloud, token, "domain", { name: "acme" })
  const project_id = await make(cloud, token, "project", { name: "p", domain_id })
  const resource = { service_id, resource_name: "cores" }
  const registered = { registered_limits: [{ ...resource, default_limit: 10 }] }
  assert.equal((await cloud.send("POST", "/registered_limits", { token, body: registered })).status, 201)
  const limit = (place: object, resource_limit: number) =>
    cloud.send("POST", "/limits", { token, body: { limits: [{ ...resource, ...place, resource_limit }] } })
  assert.equal((await limit({ project_id }, 11)).status, 403)
  assert.equal((await limit({ domain_id }, 20)).status, 201)
  assert.equal((await limit({ project_id }, 15)).status, 201)
  assert.equal((await limit({ project_id }, 15)).status, 409)
  const system = await cloud.token("admin", testPasswords.admin, { system: { all: true } })
  const own = (await cloud.send("GET", `/limits?domain_id=${domain_id}`, { token: system })).body.limits[0]
  const lower = { token, body: { limit: { resource_limit: 12 } } }
  assert.equal((await cloud.send("PATCH", `/limits/${own.id}`, lower)).status, 403)
})

test("a service and a region go with the registered limits that name them", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const service_id = await make(cloud, token, "service", { type: "widgets" })
  const region_id = await make(cloud, token, "region", { id: "far" })
  const project_id = await make(cloud, token, "project", { name: "p" })
  for (const [path, place] of [
    [`/services/${service_id}`, { service_id }],
    [
      `/regions/${region_id}`,
      { service_id: await make(cloud, token, "service", { type: "others" }), region_id },
    ],
  ] as const) {
    const resource = { ...place, resource_name: "widgets" }
    const registered = { registered_limits: [{ ...resource, default_limit: 10 }] }
    const made = await cloud.send("POST", "/registered_limits", { token, body: registered })
    assert.equal(made.status, 201, JSON.stringify(made.body))
    const limits = { limits: [{ ...resource, project_id, resource_limit: 3 }] }
    assert.equal((await cloud.send("POST", "/limits", { token, body: limits })).status, 201)
    assert.equal((await cloud.send("DELETE", path, { token })).status, 204, path)
    const left = await cloud.send("GET", `/registered_limits/${made.body.registered_limits[0].id}`, { token })
    assert.equal(left.status, 404)
  }
  // What a region's endpoints stand on stays.
  assert.equal((await cloud.send("DELETE", "/regions/RegionOne", { token })).status, 403)
})

test("a project with endpoints of its own sees these only", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const demo = (await cloud.send("GET", "/projects?name=demo", { token })).body.projects[0].id
  const own = await cloud.token("demo", testPasswords.demo)
  const types = async () =>
    (await cloud.send("GET", "/auth/catalog", { token: own })).body.catalog.map(
      (s: { type: string }) => s.type,
    )
  assert.equal((await types()).length, 3)
  const service_id = (await cloud.send("GET", "/services?type=compute", { token })).body.services[0].id
  const filters = { service_id, interface: "public" }
  const body = { endpoint_group: { name: "g", filters } }
  const group = (await cloud.send("POST", "/OS-EP-FILTER/endpoint_groups", { token, body })).body
    .endpoint_group.id
  const path = `/OS-EP-FILTER/endpoint_groups/${group}/projects/${demo}`
  assert.equal((await cloud.send("PUT", path, { token })).status, 204)
  assert.deepEqual(await types(), ["compute"])
  assert.equal((await cloud.send("DELETE", path, { token })).status, 204)
  assert.equal((await types()).length, 3)
})

test("nothing is remembered while changes do not reach us", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.token("demo", testPasswords.demo)
  const { cache } = cloud.platform.drivers.identity
  assert.ok(cache.getToken(token))
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'kumoi identity listener'
    and datname = current_database()`.execute(cloud.database.db)
  const { eventually } = await import("../platform/clock/clock.ts")
  await eventually("the loss to be noticed", () => !cache.isCoherent)
  assert.equal((await cloud.send("GET", "/auth/projects", { token })).status, 200)
  if (!cache.isCoherent) assert.equal(cache.getToken(token), undefined)
  await eventually("the listener to be back", () => cache.isCoherent)
  assert.equal((await cloud.send("GET", "/auth/projects", { token })).status, 200)
  assert.ok(cache.getToken(token))
})

test("the table types name the columns that are there", async () => {
  await using cloud = await startTestIdentity()
  const { readFile } = await import("node:fs/promises")
  const text = await readFile(new URL("./tables.ts", import.meta.url), "utf8")
  const declared = new Map<string, string[]>()
  for (const [, table = "", type = ""] of text.matchAll(/"identity\.(\w+)": (\w+)/g)) {
    const body = new RegExp(`interface ${type} \\{([^}]*)\\}`).exec(text)?.[1] ?? ""
    declared.set(table, [...body.matchAll(/^ {2}(\w+):/gm)].map((m) => m[1] ?? "").sort())
  }
  const rows = await cloud.database.pool.query(
    "select table_name, column_name from information_schema.columns where table_schema = 'identity'",
  )
  const actual = new Map<string, string[]>()
  for (const { table_name, column_name } of rows.rows) {
    actual.set(table_name, [...(actual.get(table_name) ?? []), column_name].sort())
  }
  assert.deepEqual(new Map([...declared].sort()), new Map([...actual].sort()))
})
