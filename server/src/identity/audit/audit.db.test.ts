import assert from "node:assert/strict"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { test } from "node:test"
import {
  defaultProject,
  passwordLogin,
  startTestIdentity,
  type TestIdentity,
  testPasswords,
} from "../../../test/identity-cloud.ts"
import { eventually } from "../../platform/clock/clock.ts"

// biome-ignore lint/suspicious/noExplicitAny: tests look where they like and fail when it is not there
type Any = any

function told(cloud: TestIdentity, type: string): Any[] {
  return cloud.events.filter((event) => event.type === type).map((event) => event.payload)
}

async function logins(cloud: TestIdentity, count: number): Promise<Any[]> {
  return await eventually(`${count} logins`, () => {
    const found = told(cloud, "identity.authenticate")
    return found.length >= count && found
  })
}

async function auditLog(cloud: TestIdentity): Promise<Any[]> {
  await cloud.platform.drivers.identity.audit.log?.flush()
  const text = await readFile(join(cloud.platform.config.dataDir, "log", "audit.log"), "utf8")
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
}

function guess(cloud: TestIdentity, user: string, password = "wrong") {
  const headers = { "user-agent": "guesser/1" }
  return cloud.send("POST", "/auth/tokens", { body: passwordLogin(user, password), headers })
}

test("logins are told with who, from where and why not, and no password or token is in it", async () => {
  await using cloud = await startTestIdentity()
  const reply = await guess(cloud, "demo", testPasswords.demo)
  const { user, audit_ids } = reply.body.token
  await guess(cloud, "demo", "hush-hush")
  await guess(cloud, "nobody", "hush-hush")
  const [success, wrong, unknown] = await logins(cloud, 3)
  assert.equal(success.action, "authenticate")
  assert.equal(success.outcome, "success")
  assert.equal(success.initiator.user_id, user.id)
  assert.equal(success.initiator.name, "demo")
  assert.deepEqual(success.initiator.host, { address: "127.0.0.1", agent: "guesser/1" })
  assert.deepEqual(success.initiator.credential, { type: "password", token: audit_ids[0] })
  assert.match(success.observer.id, /^[0-9a-f]{32}$/)
  assert.equal(wrong.outcome, "failure")
  assert.equal(wrong.initiator.user_id, user.id)
  assert.deepEqual(wrong.reason, { reasonType: "wrong user or password", reasonCode: "401" })
  assert.equal(unknown.initiator.name, "nobody")
  assert.ok(!("user_id" in unknown.initiator))
  const everything = JSON.stringify(cloud.events) + JSON.stringify(await auditLog(cloud))
  for (const secret of [testPasswords.demo, "hush-hush", String(reply.headers["x-subject-token"])])
    assert.ok(!everything.includes(secret))
})

test("a lockout, a half-done login and guesses at a change of password are told", async () => {
  await using cloud = await startTestIdentity({
    overrides: { "identity.security_compliance.lockout_failure_attempts": 1 },
  })
  const admin = await cloud.adminToken()
  const options = { multi_factor_auth_enabled: true, multi_factor_auth_rules: [["password", "totp"]] }
  const body = { user: { name: "careful", domain_id: "default", password: "careful-pw", options } }
  const careful = (await cloud.send("POST", "/users", { token: admin, body })).body.user.id
  await guess(cloud, "careful", "careful-pw")
  const change = { user: { original_password: "guess", password: "mine" } }
  await cloud.send("POST", `/users/${careful}/password`, { body: change })
  await guess(cloud, "careful", "careful-pw")
  const [, half, guessed, locked] = await logins(cloud, 4)
  assert.equal(half.outcome, "pending")
  assert.equal(guessed.outcome, "failure")
  assert.equal(guessed.initiator.user_id, careful)
  assert.equal(locked.reason.reasonType, `The account is locked for user: ${careful}.`)
})

test("a token that buys another one is no login", async () => {
  await using cloud = await startTestIdentity()
  const id = await cloud.token("demo", testPasswords.demo)
  const identity = { methods: ["token"], token: { id } }
  const body = { auth: { identity, scope: defaultProject("demo") } }
  assert.equal((await cloud.send("POST", "/auth/tokens", { body })).status, 201)
  await guess(cloud, "demo")
  assert.deepEqual(
    (await logins(cloud, 2)).map((event) => event.outcome),
    ["success", "failure"],
  )
})

test("guesses without end leave records with an end", async () => {
  await using cloud = await startTestIdentity({ overrides: { "identity.auditFailuresPerMinuteMax": 2 } })
  for (let n = 0; n < 6; n++) await guess(cloud, `nobody-${n}`)
  await cloud.token("demo", testPasswords.demo)
  const outcomes = (await logins(cloud, 3)).map((event) => event.outcome)
  assert.deepEqual(outcomes, ["failure", "failure", "success"])
  assert.equal((await auditLog(cloud)).length, 3)
})

test("a change is told with who made it, in its own transaction", async () => {
  await using cloud = await startTestIdentity()
  const admin = await cloud.adminToken()
  const body = { group: { name: "staff", domain_id: "default" } }
  const made = await cloud.send("POST", "/groups", { token: admin, body, headers: { "user-agent": "osc" } })
  const [event] = told(cloud, "identity.group.created")
  assert.equal(event.action, "created.group")
  assert.equal(event.resource_info, made.body.group.id)
  assert.deepEqual(event.target, { typeURI: "data/security/group", id: made.body.group.id })
  assert.equal(event.initiator.name, "admin")
  assert.equal(event.initiator.request_id, made.headers["x-openstack-request-id"])
  assert.equal(event.initiator.host.agent, "osc")
  assert.equal(event.initiator.credential.type, "password")
  // The same name again: refused, so not told.
  assert.equal((await cloud.send("POST", "/groups", { token: admin, body })).status, 409)
  const lines = (await auditLog(cloud)).filter((line) => line.event_type === "identity.group.created")
  assert.equal(lines.length, 1)
  assert.equal(lines[0].publisher_id, "identity.test")
  assert.deepEqual(lines[0].payload, event)
})

test("grants, memberships and what they are made of are told", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const first = async (path: string) =>
    Object.values((await cloud.send("GET", path, { token })).body).find(Array.isArray)?.[0].id
  const user = await first("/users?name=demo")
  const project = await first("/projects?name=admin")
  const role = await first("/roles?name=reader")
  const group = (await cloud.send("POST", "/groups", { token, body: { group: { name: "g" } } })).body.group.id
  const grant = `/projects/${project}/users/${user}/roles/${role}`
  for (const [method, path] of [
    ["PUT", grant],
    ["DELETE", grant],
    ["PUT", `/system/groups/${group}/roles/${role}`],
    ["PUT", `/groups/${group}/users/${user}`],
    ["DELETE", `/groups/${group}/users/${user}`],
    ["PUT", `/projects/${project}/tags/blue`],
  ] as const)
    assert.ok((await cloud.send(method, path, { token })).status < 300, path)
  const given = told(cloud, "identity.role_assignment.created")
  const { action, role: roleTold, inherited_to_projects } = given[0]
  assert.deepEqual([action, given[0].user, given[0].project], ["created.role_assignment", user, project])
  assert.deepEqual([roleTold, inherited_to_projects], [role, false])
  assert.deepEqual([given[1].group, given[1].system], [group, "all"])
  assert.equal(told(cloud, "identity.role_assignment.deleted")[0].user, user)
  const members = told(cloud, "identity.group.updated")
  assert.deepEqual(
    members.map((event) => [event.actor_id, event.actor_type, event.actor_operation]),
    [
      [user, "user", "added"],
      [user, "user", "removed"],
    ],
  )
  assert.equal(told(cloud, "identity.project tag.created")[0].resource_info, "blue")
})

test("every operation that changes something tells of it", async () => {
  await using cloud = await startTestIdentity()
  const token = await cloud.adminToken()
  const { default_project_id: project, id: user } = (await cloud.send("GET", "/users?name=admin", { token }))
    .body.users[0]
  const made = async (path: string, body: object): Promise<string> => {
    const reply = await cloud.send("POST", path, { token, body })
    assert.equal(reply.status, 201, `${path}: ${JSON.stringify(reply.body)}`)
    const [content] = Object.values(reply.body) as Any[]
    return (Array.isArray(content) ? content[0] : content).id
  }
  const seen = (type: string) => assert.ok(told(cloud, `identity.${type}`).length > 0, type)
  const role = await made("/roles", { role: { name: "r1" } })
  const other = await made("/roles", { role: { name: "r2" } })
  await cloud.send("PUT", `/roles/${role}/implies/${other}`, { token })
  await cloud.send("DELETE", `/roles/${role}/implies/${other}`, { token })
  const service = await made("/services", { service: { type: "x", name: "x" } })
  await made("/registered_limits", {
    registered_limits: [{ service_id: service, resource_name: "thing", default_limit: 5 }],
  })
  await made("/limits", {
    limits: [{ service_id: service, resource_name: "thing", resource_limit: 3, project_id: project }],
  })
  const group = await made("/OS-EP-FILTER/endpoint_groups", {
    endpoint_group: { name: "eg", filters: { interface: "public" } },
  })
  await cloud.send("PUT", `/OS-EP-FILTER/endpoint_groups/${group}/projects/${project}`, { token })
  const policy = await made("/policies", { policy: { type: "text/plain", blob: "{}" } })
  await cloud.send("PUT", `/policies/${policy}/OS-ENDPOINT-POLICY/services/${service}`, { token })
  await cloud.send("PUT", "/domains/default/config", {
    token,
    body: { config: { ldap: { url: "ldap://x" } } },
  })
  await made("/OS-TRUST/trusts", {
    trust: {
      trustor_user_id: user,
      trustee_user_id: user,
      impersonation: false,
      project_id: project,
      roles: [{ name: "admin" }],
    },
  })
  const domain = await made("/domains", { domain: { name: "d" } })
  await cloud.send("PATCH", `/domains/${domain}`, { token, body: { domain: { enabled: false } } })
  await cloud.send("DELETE", "/auth/tokens", {
    token,
    headers: { "x-subject-token": await cloud.token("demo", testPasswords.demo) },
  })
  for (const type of [
    "role.created",
    "implied_role.created",
    "implied_role.deleted",
    "service.created",
    "registered_limit.created",
    "limit.created",
    "endpoint_group.created",
    "project.updated",
    "policy.created",
    "policy_association.created",
    "domain_config.created",
    "OS-TRUST:trust.created",
    "domain.updated",
    "domain.disabled",
    "token.deleted",
  ])
    seen(type)
})

test("the basic format names the thing only, and what is opted out of is in the log alone", async () => {
  await using cloud = await startTestIdentity({
    overrides: {
      "identity.notification_format": "basic",
      "identity.notification_opt_out": ["identity.role.created", "identity.authenticate.success"],
    },
  })
  const token = await cloud.adminToken()
  await cloud.send("POST", "/roles", { token, body: { role: { name: "r" } } })
  const group = await cloud.send("POST", "/groups", { token, body: { group: { name: "g" } } })
  await guess(cloud, "demo")
  assert.deepEqual(told(cloud, "identity.group.created"), [
    { resource_info: group.body.group.id, request_id: group.headers["x-openstack-request-id"] },
  ])
  assert.deepEqual(
    (await logins(cloud, 1)).map((event) => event.outcome),
    ["failure"],
  )
  assert.deepEqual(told(cloud, "identity.role.created"), [])
  const lines = await auditLog(cloud)
  assert.deepEqual(
    lines.map((line) => [line.event_type, line.payload.outcome]),
    [
      ["identity.authenticate", "success"],
      ["identity.role.created", "success"],
      ["identity.group.created", "success"],
      ["identity.authenticate", "failure"],
    ],
  )
})
