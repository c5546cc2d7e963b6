import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { pino } from "pino"
import { type Caller, internalCaller } from "../auth/caller.ts"
import type { Clock } from "../clock/clock.ts"
import { Fault } from "../fault/fault.ts"
import { PolicyEngine } from "./policy.ts"
import { followPolicyFiles } from "./policy-file.ts"

const reader: Caller = { ...internalCaller, systemScope: null, projectId: "p", roles: ["reader"] }

/** A directory, an engine that follows it, its log, and a clock that the test moves. */
function startFollowing(files: Record<string, string> = {}) {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-policy-"))
  let aheadMs = 0
  const now = Date.now()
  const clock: Clock = {
    now: () => new Date(now + aheadMs),
    monotonicMs: () => aheadMs,
    sleep: async () => assert.fail("nothing waits here"),
  }
  const lines: { level: number; msg: string; reason?: string; overridden?: number }[] = []
  const log = pino({ level: "info" }, { write: (line) => void lines.push(JSON.parse(line)) })
  const write = (name: string, text: string) => {
    const path = join(dir, name)
    writeFileSync(path, text)
    utimesSync(path, clock.now(), clock.now())
  }
  for (const [name, text] of Object.entries(files)) write(name, text)
  const policy = new PolicyEngine()
  policy.declare([
    { name: "thing:get", check: "role:admin", description: "" },
    { name: "thing:put", check: "role:admin", description: "" },
  ])
  const follow = () => followPolicyFiles(policy, { dir, clock, log })
  const mayGet = (afterMs: number) => {
    aheadMs += afterMs
    return policy.isAllowed(reader, "thing:get")
  }

  return {
    dir,
    policy,
    follow,
    write,
    mayGet,
    lines,
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}

test("a file that comes, changes and goes takes effect by itself", () => {
  using it = startFollowing()
  it.follow()
  assert.equal(it.mayGet(0), false)
  it.write("policy.yaml", '"thing:get": "role:reader"\n')
  assert.equal(it.mayGet(500), false, "looked at a moment ago")
  assert.equal(it.mayGet(600), true)
  it.write("policy.yaml", '"thing:get": "role:member"\n')
  assert.equal(it.mayGet(1_100), false)
  it.write("new", '"thing:get": "role:reader"\n"thing:put": "!"\n')
  renameSync(join(it.dir, "new"), join(it.dir, "policy.yaml"))
  assert.equal(it.mayGet(1_100), true, "an editor's rename")
  it.write("policy.yaml", '"thing:put": "!"\n')
  assert.equal(it.mayGet(1_100), false, "a rule that went falls back to its default")
  assert.deepEqual(
    it.policy.list().map((rule) => rule.isOverridden),
    [false, true],
  )
  rmSync(join(it.dir, "policy.yaml"))
  assert.equal(it.mayGet(1_100), false)
  assert.ok(it.policy.list().every((rule) => !rule.isOverridden))
  assert.deepEqual(
    it.lines.map(({ msg, overridden }) => [msg, overridden]),
    [1, 1, 2, 1, 0].map((count) => ["policy files taken over", count]),
  )
})

test("a wrong file is told once, and the rules stay as they were", () => {
  using it = startFollowing({ "policy.yaml": '"thing:get": "role:reader"\n' })
  it.follow()
  assert.equal(it.mayGet(0), true)
  const wrong = {
    '"thing:gett": "@"': /thing:gett: there is no such rule/,
    '"thing:get": 3': /thing:get: it must be text/,
    '"thing:get": "role:x or"': /ends too early/,
    "- a": /must be a mapping/,
    '"thing:get": "!"\n  b: c: d': /policy\.yaml: /,
    '"thing:get": "!"\n"thing:get": "@"': /unique/,
  }
  for (const [text, reason] of Object.entries(wrong)) {
    it.lines.length = 0
    it.write("policy.yaml", text)
    assert.equal(it.mayGet(1_100), true, text)
    assert.equal(it.mayGet(1_100), true, text)
    assert.equal(it.lines.length, 1, text)
    assert.equal(it.lines[0]?.level, 50)
    assert.match(it.lines[0]?.reason ?? "", reason)
  }
  it.write("policy.yaml", '"thing:get": "!"')
  assert.equal(it.mayGet(1_100), false, "and a right one counts again")
})

test("a file that is being written is left for the next look", () => {
  using it = startFollowing({ "policy.yaml": '"thing:get": "role:reader"\n' })
  it.follow()
  assert.equal(it.mayGet(1_000), true)
  assert.equal(it.mayGet(950), true)
  it.write("policy.yaml", "")
  assert.equal(it.mayGet(60), true, "emptied 60 ms ago")
  assert.equal(it.mayGet(1_000), false)
})

test("policy.d comes after policy.yaml, in the order of names", () => {
  using it = startFollowing({ "policy.yaml": '"thing:get": "rule:readers"\n"thing:put": "!"\n' })
  mkdirSync(join(it.dir, "policy.d"))
  it.write("policy.d/10-a.yaml", '"thing:put": "role:member"\n"readers": "role:reader"\n')
  it.write("policy.d/20-b.json", '{"thing:put": "role:reader"}')
  it.write("policy.d/30-c.yaml~", "not looked at")
  it.write("policy.d/.40-d.yaml.swp", "nor this")
  it.follow()
  assert.equal(it.policy.isAllowed(reader, "thing:put"), true)
  assert.equal(it.mayGet(0), true, "a rule of one file asks one of another")
  it.write("policy.d/50-e.yaml", '"thing:get": "!"')
  assert.equal(it.mayGet(1_100), false)
  it.write("policy.d/50-e.yaml", '"thing:get": "rule:missing"')
  assert.equal(it.mayGet(1_100), false)
  assert.match(it.lines.at(-1)?.reason ?? "", /50-e\.yaml: thing:get: it asks rule:missing/)
})

test("a wrong file stops the start", () => {
  using it = startFollowing({ "policy.yaml": '"thing:get": "role:x or"\n"thing:gett": "@"\n' })
  assert.throws(it.follow, (error) => {
    assert.ok(error instanceof Fault)
    assert.match(error.message, /policy\.yaml:\n.*thing:get: .*ends too early\n.*thing:gett: there is no/)
    return true
  })
})
