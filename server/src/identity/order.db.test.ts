// What comes first: Keystone loads some targets before it asks the policy (404 for whoever asks), and asks the policy
// first about all others (403 for the missing as for the foreign). Both come before a wrong body.
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { startTestIdentity, type TestIdentity, testPasswords } from "../../test/identity-cloud.ts"
import { type Caller, internalCaller } from "../platform/auth/caller.ts"
import type { Route } from "../platform/http/wire.ts"
import { identityV3Api } from "./openstack-v3/index.ts"

let cloud: TestIdentity
let admin: string
before(async () => {
  cloud = await startTestIdentity()
  admin = await cloud.adminToken()
})
after(async () => await cloud[Symbol.asyncDispose]())

const nobody: Caller = { ...internalCaller, systemScope: null, userId: "u", roles: [] }

interface Persona {
  name: string
  token: string
  caller: Caller
}

async function make(noun: string, body: object): Promise<string> {
  const reply = await cloud.send("POST", `/${noun}s`, { token: admin, body: { [noun]: body } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return reply.body[noun].id
}

async function tokenOf(user: string, scope: object): Promise<string> {
  const identity = { methods: ["password"], password: { user: { id: user, password: "secret-pw" } } }
  const reply = await cloud.send("POST", "/auth/tokens", { body: { auth: { identity, scope } } })
  assert.equal(reply.status, 201, JSON.stringify(reply.body))
  return String(reply.headers["x-subject-token"])
}

async function personas(): Promise<Persona[]> {
  const roles = (await cloud.send("GET", "/roles", { token: admin })).body.roles
  const role = (name: string) => roles.find((r: { name: string }) => r.name === name).id
  const domain = await make("domain", { name: "of-manager" })
  const manager = await make("user", { name: "manager", password: "secret-pw", domain_id: domain })
  const reader = await make("user", { name: "reader", password: "secret-pw" })
  const put = async (path: string) =>
    assert.equal((await cloud.send("PUT", path, { token: admin })).status, 204, path)
  await put(`/domains/${domain}/users/${manager}/roles/${role("manager")}`)
  await put(`/system/users/${reader}/roles/${role("reader")}`)
  return [
    {
      name: "a member of a project",
      token: await cloud.token("demo", testPasswords.demo, {
        project: { name: "demo", domain: { id: "default" } },
      }),
      caller: { ...nobody, projectId: "p", roles: ["member", "reader"] },
    },
    {
      name: "the manager of a domain",
      token: await tokenOf(manager, { domain: { id: domain } }),
      caller: { ...nobody, domainId: domain, roles: ["manager", "member", "reader"] },
    },
    {
      name: "a reader of the system",
      token: await tokenOf(reader, { system: { all: true } }),
      caller: { ...nobody, systemScope: "all", roles: ["reader"] },
    },
  ]
}

/** Those whose target Keystone loads before it asks the policy. */
const loadedFirst = [
  /^(GET|HEAD|PATCH|DELETE) \/roles\/\{role_id\}$/,
  /^(GET|HEAD|PUT|DELETE) \/roles\/\{prior_role_id\}\/implies/,
  /^(GET|HEAD|PATCH|DELETE) \/endpoints\/\{endpoint_id\}$/,
  /^(PATCH|DELETE) \/domains\/\{domain_id\}$/,
  /^DELETE \/groups\/\{group_id\}$/,
  /^(PATCH|DELETE) \/limits\/\{limit_id\}$/,
  /^(GET|HEAD|PUT|DELETE) \/(projects|domains)\/\{\w+\}\/(users|groups)\/\{\w+\}\/roles/,
  /^(GET|HEAD|PUT|DELETE) \/system\/(users|groups)\/\{\w+\}\/roles/,
  /^(GET|HEAD|DELETE) \/users\/\{user_id\}\/credentials\/OS-EC2\/\{credential_id\}$/,
  /^(GET|HEAD|DELETE) \/OS-TRUST\/trusts\/\{trust_id\}/,
]

const keyOf = (route: Route) => `${route.method} ${route.path}`
const missingId = "0123456789abcdef0123456789abcdef"
const pathOf = (route: Route) => route.path.replaceAll(/\{[^}]+\}/g, missingId)

test("an unknown id: 404 where the target is loaded first, 403 elsewhere, for every route and persona", async () => {
  const everyone = await personas()
  const routes = identityV3Api.routes.filter(
    (route) => Array.isArray(route.policy) && /_id\}/.test(route.path),
  )
  const problems: string[] = []
  let count = 0
  for (const pattern of loadedFirst)
    assert.ok(
      routes.some((route) => pattern.test(keyOf(route))),
      String(pattern),
    )
  for (const route of routes) {
    const isLoadedFirst = loadedFirst.some((pattern) => pattern.test(keyOf(route)))
    for (const { name, token, caller } of everyone) {
      const rules = route.policy as readonly string[]
      // Whatever it is about: then the missing thing is all that there is to say.
      const isFree = rules.some((rule) => cloud.platform.policy.isAllowed(caller, rule))
      if (!isLoadedFirst && isFree) continue
      const body = route.body ? { body: {} } : {}
      const { status } = await cloud.send(route.method, pathOf(route), { token, ...body })
      const wanted = isLoadedFirst ? 404 : 403
      count++
      if (status !== wanted) problems.push(`${keyOf(route)} by ${name}: ${status}, wanted ${wanted}`)
    }
  }
  assert.deepEqual(problems, [])
  assert.ok(count > 200, `${count} combinations`)
})

test("another user's key below the own id: 403, as the rule asks whose it is", async () => {
  const scope = { project: { name: "demo", domain: { id: "default" } } }
  const demo = await cloud.token("demo", testPasswords.demo, scope)
  const users = (await cloud.send("GET", "/users", { token: admin })).body.users
  const idOf = (name: string) => users.find((user: { name: string }) => user.name === name).id
  const [me, other] = [idOf("demo"), idOf("admin")]
  const made = await cloud.send("POST", `/users/${other}/application_credentials`, {
    token: admin,
    body: { application_credential: { name: "of-admin" } },
  })
  const project = (await cloud.send("GET", "/projects?name=admin", { token: admin })).body.projects[0].id
  const ec2 = await cloud.send("POST", `/users/${other}/credentials/OS-EC2`, {
    token: admin,
    body: { tenant_id: project },
  })
  const keys = [
    `application_credentials/${made.body.application_credential.id}`,
    `credentials/OS-EC2/${ec2.body.credential.access}`,
  ]
  for (const key of keys) {
    for (const method of ["GET", "DELETE"])
      assert.equal((await cloud.send(method, `/users/${me}/${key}`, { token: demo })).status, 403, key)
    assert.equal((await cloud.send("GET", `/users/${me}/${key}`, { token: admin })).status, 404, key)
    assert.equal((await cloud.send("GET", `/users/${other}/${key}`, { token: admin })).status, 200, key)
  }
  const missing = await cloud.send("GET", `/users/${me}/application_credentials/${missingId}`, {
    token: demo,
  })
  assert.equal(missing.status, 404)
})

test("an empty change: the right and the thing come before the body", async () => {
  const demo = await cloud.token("demo", testPasswords.demo, {
    project: { name: "demo", domain: { id: "default" } },
  })
  const project = await make("project", { name: "foreign" })
  const domain = await make("domain", { name: "foreign" })
  const status = async (noun: string, id: string, token: string) =>
    (await cloud.send("PATCH", `/${noun}s/${id}`, { token, body: { [noun]: {} } })).status
  assert.equal(await status("project", missingId, demo), 403)
  assert.equal(await status("domain", missingId, demo), 404)
  assert.equal(await status("project", project, demo), 403)
  assert.equal(await status("domain", domain, demo), 403)
  for (const noun of ["project", "domain", "user", "group", "role", "endpoint", "service", "region"])
    assert.equal(await status(noun, missingId, admin), 404, noun)
  assert.equal(await status("project", project, admin), 400)
  assert.equal(await status("domain", domain, admin), 400)
  const wrongId = { project: { id: missingId, name: "x" } }
  assert.equal(
    (await cloud.send("PATCH", `/projects/${project}`, { token: demo, body: wrongId })).status,
    403,
    "a body that names another id",
  )
  const strange = { user: { name: 7, domain_id: domain } }
  assert.equal((await cloud.send("POST", "/users", { token: demo, body: strange })).status, 403)
  assert.equal((await cloud.send("POST", "/users", { token: admin, body: strange })).status, 400)
})
