// policy.yaml of a running cloud, and `kumoi policy` over it.
import assert from "node:assert/strict"
import { execFile } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { promisify } from "node:util"
import { answerPolicy, type PolicyExplanation } from "../src/launch/policy-answer.ts"
import { renderExplanation } from "../src/launch/policy-text.ts"
import { eventually } from "../src/platform/clock/clock.ts"
import { type EffectiveRule, PolicyEngine } from "../src/platform/policy/policy.ts"
import { startTestCloud, type TestCloud } from "./cloud.ts"

let cloud: TestCloud
before(async () => {
  cloud = await startTestCloud()
})
after(async () => await cloud[Symbol.asyncDispose]())

const keypairs = "/compute/v2.1/os-keypairs"

async function ask(question: Record<string, unknown>): Promise<PolicyExplanation> {
  const scope = { kind: "default" }
  const found = await answerPolicy(cloud.cloud.platform, {
    ask: "explain",
    userDomain: "Default",
    scope,
    target: null,
    ...question,
  })
  assert.ok(!Array.isArray(found))
  return found
}

test("a changed policy.yaml takes effect while the cloud runs, and its removal as well", async () => {
  const path = join(cloud.dataDir, "policy.yaml")
  const token = await cloud.token({ user: "demo" })
  const status = async () => (await cloud.request("GET", keypairs, { token })).status
  assert.equal(await status(), 200)
  writeFileSync(path, '"os_compute_api:os-keypairs:index": "role:nobody"\n')
  await eventually("403", async () => (await status()) === 403)
  const rules = (await answerPolicy(cloud.cloud.platform, { ask: "list" })) as EffectiveRule[]
  assert.deepEqual(
    rules.filter((rule) => rule.isOverridden).map(({ name, service, check }) => ({ name, service, check })),
    [{ name: "os_compute_api:os-keypairs:index", service: "compute", check: "role:nobody" }],
  )
  rmSync(path)
  await eventually("200", async () => (await status()) === 200)
})

test("who is an administrator is a rule, for the whole cloud or for one service", async () => {
  const path = join(cloud.dataDir, "policy.yaml")
  const [admin, demo] = [await cloud.token(), await cloud.token({ user: "demo" })]
  const made = await cloud.request("POST", "/network/v2.0/networks", {
    token: admin,
    body: { network: { name: "private-of-admin" } },
  })
  const network = `/network/v2.0/networks/${made.body.network.id}`
  const flavor = {
    name: "hidden",
    ram: 64,
    vcpus: 1,
    disk: 1,
    id: "hidden",
    "os-flavor-access:is_public": false,
  }
  await cloud.request("POST", "/compute/v2.1/flavors", { token: admin, body: { flavor } })
  const users = "/identity/v3/users"
  const paths = [network, "/compute/v2.1/flavors/hidden", users]
  const statuses = async (token: string) =>
    await Promise.all(paths.map(async (at) => (await cloud.request("GET", at, { token })).status))
  const become = async (rules: string, token: string, wanted: readonly number[]) => {
    writeFileSync(path, rules)
    await eventually(rules, async () => (await statuses(token)).join() === wanted.join())
  }
  assert.deepEqual(await statuses(admin), [200, 200, 200])
  assert.deepEqual(await statuses(demo), [404, 404, 403])
  try {
    await become('"network:context_is_admin": "role:member"\n', demo, [200, 404, 403])
    await become('"compute:context_is_admin": "role:member"\n', demo, [404, 200, 403])
    await become('"admin_required": "role:member"\n', demo, [404, 404, 200])
    await become('"context_is_admin": "role:member"\n', demo, [200, 200, 200])
    await become('"compute:context_is_admin": "!"\n', admin, [200, 404, 200])
  } finally {
    rmSync(path)
  }
  await eventually("the defaults", async () => (await statuses(demo)).join() === "404,404,403")
})

test("in a list each row hides what its own rule says", async () => {
  const path = join(cloud.dataDir, "policy.yaml")
  const token = await cloud.token()
  const user = await cloud.token({ user: "demo" })
  const make = async (owner: string) => {
    const body = { network: { name: "seen" } }
    return (await cloud.request("POST", "/network/v2.0/networks", { token: owner, body })).body.network.id
  }
  const [foreign, own] = [await make(user), await make(token)]
  const shown = async () => {
    const { body } = await cloud.request("GET", "/network/v2.0/networks?name=seen", { token })
    const of = (id: string) => body.networks.find((network: { id: string }) => network.id === id)
    return [of(foreign), of(own)].map((network) => "provider:network_type" in network)
  }
  assert.deepEqual(await shown(), [true, true])
  writeFileSync(path, '"get_network:provider:network_type": "project_id:%(project_id)s"\n')
  await eventually("the rule of each row", async () => String(await shown()) === "false,true")
  rmSync(path)
  await eventually("both", async () => String(await shown()) === "true,true")
})

test("why a user may: roles with their sources, the checks, what decided", async () => {
  const found = await ask({ user: "demo", rule: "os_compute_api:servers:create" })
  assert.equal(found.isAllowed, true)
  assert.equal(found.scope, "project demo")
  const sources = Object.fromEntries(found.roles.map((role) => [role.name, role.from.join()]))
  assert.equal(sources.member, "assignment of the user")
  assert.equal(sources.reader, "implied by member")
  const text = renderExplanation(found)
  assert.match(text, /✓ project_id:%\(project_id\)s {3}\(caller: [0-9a-f]{32}, target: [0-9a-f]{32}\)/)
  assert.match(text, /ALLOWED: decided by os_compute_api:servers:create → /)

  const foreign = await ask({
    user: "demo",
    rule: "os_compute_api:servers:create",
    target: { project_id: "x" },
  })
  assert.equal(foreign.isAllowed, false)
  assert.match(renderExplanation(foreign), /✗ project_id:%\(project_id\)s {3}\(caller: \w+, target: x\)/)
})

test("why a user may not: the token's scope, no role there, a fact of the target", async () => {
  const compute = { rule: "os_compute_api:servers:create" }
  const system = await ask({ user: "admin", scope: { kind: "system" }, ...compute })
  assert.equal(system.isAllowed, false)
  assert.match(renderExplanation(system), /✗ token scope: system scope; the rule is for project/)
  assert.match(renderExplanation(system), /DENIED: decided by the token's scope/)

  const nowhere = await ask({
    user: "demo",
    scope: { kind: "project", project: "admin", domain: "default" },
    ...compute,
  })
  assert.equal(nowhere.isAllowed, false)
  assert.match(nowhere.refusal ?? "", /no role in the scope/)
  assert.match(renderExplanation(nowhere), /DENIED: there is no such token/)

  const target = { "target.user.domain_id": "default", "target.user.id": "x" }
  const user = await ask({ user: "demo", rule: "identity:get_user", target })
  assert.equal(user.isAllowed, false)
  assert.match(renderExplanation(user), /✗ user_id:%\(target\.user\.id\)s {3}\(caller: \w+, target: x\)/)
})

test("what the command line decides is what a request meets", async () => {
  const reply = await cloud.request("GET", "/identity/v3/users", {
    token: await cloud.token({ user: "demo" }),
  })
  const found = await ask({ user: "demo", rule: "identity:list_users", target: {} })
  assert.equal(reply.status === 200, found.isAllowed)
  const byAdmin = await cloud.request("GET", "/identity/v3/users", { token: await cloud.token() })
  assert.equal(byAdmin.status === 200, (await ask({ user: "admin", rule: "identity:list_users" })).isAllowed)
})

test("questions that cannot be answered say why", async () => {
  await assert.rejects(ask({ user: "nobody", rule: "identity:get_user" }), /Could not find user: nobody/)
  await assert.rejects(
    ask({ user: "demo", rule: "servers:create" }),
    /no policy rule servers:create. Did you mean /,
  )
  await assert.rejects(answerPolicy(cloud.cloud.platform, { ask: "explain" }), /no question/)
})

async function kumoi(...args: string[]): Promise<{ code: number; out: string }> {
  const cli = join(import.meta.dirname, "../src/cli.ts")
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], { timeout: 240_000 })
    return { code: 0, out: stdout }
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string }
    return { code: failed.code, out: failed.stdout + failed.stderr }
  }
}

test("kumoi policy without a running cloud: check, list, and a clear word from explain", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-policy-"))
  try {
    const path = join(dir, "policy.yaml")
    writeFileSync(path, '"identity:get_user": "role:x or"\n"identity:gett_user": "@"\n')
    const wrong = await kumoi("policy", "check", path)
    assert.equal(wrong.code, 1)
    assert.match(
      wrong.out,
      /identity:get_user: .*ends too early\n.*identity:gett_user: there is no such rule/,
    )
    writeFileSync(path, '"identity:get_user": "role:x"\n')
    assert.deepEqual(await kumoi("policy", "check", "--data", dir), { code: 0, out: "1 rule, all right.\n" })
    const list = await kumoi("policy", "list", "--data", dir, "--service", "identity")
    assert.match(list.out, /^\* identity:get_user: role:x {2}\[.*\n {4}default: rule:admin_required/m)
    assert.ok(!list.out.includes("os_compute_api"))
    const explain = await kumoi("policy", "explain", "demo", "identity:get_user", "--data", dir)
    assert.equal(explain.code, 3)
    assert.match(explain.out, /is not running/)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test("the defaults ask only rules that there are, and never themselves", () => {
  const engine = new PolicyEngine()
  const rules = cloud.cloud.platform.policy.list()
  for (const { name, check } of rules) engine.declare([{ name, check, description: "" }])
  const all = Object.fromEntries(rules.map(({ name, check }) => [name, check]))
  assert.deepEqual(engine.problemsOf(all), [])
})
