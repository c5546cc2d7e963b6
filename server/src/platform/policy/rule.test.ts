import assert from "node:assert/strict"
import { test } from "node:test"
import { type Caller, internalCaller } from "../auth/caller.ts"
import { decisiveChecks, evaluate, type Trace } from "./evaluate.ts"
import { PolicyEngine } from "./policy.ts"
import { parseRule } from "./rule.ts"

const member: Caller = {
  ...internalCaller,
  userId: "u1",
  projectId: "p1",
  systemScope: null,
  roles: ["member", "reader"],
}
const holds = (text: string, target: Record<string, unknown> = {}, caller = member) =>
  evaluate(parseRule(text), { caller, target, rule: () => assert.fail("no rule here") })

test("leaves", () => {
  assert.equal(holds("role:member"), true)
  assert.equal(holds("role:MEMBER"), true)
  assert.equal(holds("role:admin"), false)
  assert.equal(holds("@"), true)
  assert.equal(holds(""), true)
  assert.equal(holds("!"), false)
  assert.equal(holds("project_id:%(project_id)s", { project_id: "p1" }), true)
  assert.equal(holds("project_id:%(project_id)s", { project_id: "p2" }), false)
  assert.equal(holds("project_id:%(project_id)s", {}), false, "an absent fact never matches")
  assert.equal(holds("user_id:%(target.user.id)s", { target: { user: { id: "u1" } } }), true)
  assert.equal(holds("'public':%(visibility)s", { visibility: "public" }), true)
  assert.equal(holds("system_scope:all"), false)
  assert.equal(holds("system_scope:all", {}, internalCaller), true)
  assert.equal(holds("role:%(role)s", { role: "Member" }), true)
  assert.equal(holds("role:%(role)s", {}), false)
  assert.equal(holds("roles:reader"), true)
  for (const text of ["True:%(shared)s", "'true':%(shared)s", "'True':%(shared)s"]) {
    assert.equal(holds(text, { shared: true }), true, text)
    assert.equal(holds(text, { shared: false }), false, text)
  }
  assert.equal(holds("None:%(owner)s", { owner: null }), true)
  assert.equal(holds("None:%(owner)s", {}), false)
  assert.equal(holds("domain_id:None"), true)
  assert.equal(holds("project_id:None"), false)
})

test("and, or, not and parentheses", () => {
  assert.equal(holds("role:admin or role:member and not role:reader"), false)
  assert.equal(holds("(role:admin or role:member) and role:reader"), true)
  assert.equal(holds("not role:admin"), true)
  assert.equal(holds("not (role:admin or role:member)"), false)
})

test("a rule that does not parse says why", () => {
  assert.throws(() => parseRule("(role:admin"), /closing parenthesis/)
  assert.throws(() => parseRule("role:admin or"), /ends too early/)
  assert.throws(() => parseRule("admin"), /not KIND:MATCH/)
  assert.throws(() => parseRule("role:admin role:member"), /unexpected role:member/)
  assert.throws(() => parseRule("project_id:"), /compares with nothing/)
  assert.throws(() => parseRule("projct_id:%(project_id)s"), /there is no check projct_id; .*project_id/)
  assert.throws(() => parseRule("constructor:x"), /there is no check constructor/)
  assert.throws(() => parseRule("http://127.0.0.1/check"), /there is no check http/)
})

test("the engine: scope, override, unknown rules", () => {
  const policy = new PolicyEngine()
  policy.declare([
    { name: "admin_required", check: "role:admin", description: "" },
    {
      name: "thing:get",
      check: "rule:admin_required or project_id:%(project_id)s",
      description: "",
      scopes: ["project"],
    },
  ])
  assert.equal(policy.isAllowed(member, "thing:get", { project_id: "p1" }), true)
  assert.equal(
    policy.isAllowed({ ...internalCaller }, "thing:get"),
    false,
    "a system token may not use a project rule",
  )
  assert.equal(policy.isAllowed(internalCaller, "thing:get"), true, "the program itself may")
  policy.override({ "thing:get": "role:nobody" })
  assert.throws(
    () => policy.enforce(member, "thing:get", { project_id: "p1" }),
    /Policy doesn't allow thing:get/,
  )
  assert.throws(() => policy.override({ "thing:get": "(" }))
  assert.equal(policy.explain(member, "thing:get").isOverridden, true, "a bad override changes nothing")
  assert.throws(() => policy.isAllowed(member, "no:such"), /not declared/)
})

test("is_admin asks the rule that says who is one", () => {
  const policy = new PolicyEngine()
  policy.declare([
    { name: "context_is_admin", check: "role:admin", description: "" },
    { name: "old", check: "is_admin:True", description: "" },
    { name: "others", check: "is_admin:False", description: "" },
  ])
  const admin = { ...member, roles: ["admin"] }
  const may = (caller: Caller) => ["old", "others"].map((rule) => policy.isAllowed(caller, rule))
  assert.deepEqual(
    [may(admin), may(member)],
    [
      [true, false],
      [false, true],
    ],
  )
  policy.override({ context_is_admin: "role:member" })
  assert.deepEqual(
    [may(admin), may(member)],
    [
      [false, true],
      [true, false],
    ],
  )
  assert.throws(() => policy.override({ context_is_admin: "is_admin:True" }), /it asks itself/)
})

function shape(trace: Trace, indent = ""): string {
  const word = trace.kind === "and" || trace.kind === "or" ? trace.kind : trace.check
  const line = `${indent}${trace.holds ? "+" : "-"} ${word}${trace.facts ? ` (${trace.facts})` : ""}`
  return [line, ...(trace.parts ?? []).map((part) => shape(part, `${indent}  `))].join("\n")
}

test("an explanation shows every check, and the one that decided", () => {
  const policy = new PolicyEngine()
  policy.declare([
    { name: "admin_required", check: "role:admin", description: "" },
    {
      name: "thing:get",
      check: "rule:admin_required or (role:reader and project_id:%(project_id)s)",
      description: "",
    },
  ])
  const yes = policy.explain(member, "thing:get", { project_id: "p1" })
  assert.equal(yes.isAllowed, true)
  const roles = "roles: member, reader"
  assert.equal(
    shape(yes.trace),
    [
      "+ thing:get",
      "  + or",
      "    - rule:admin_required",
      `      - role:admin (${roles})`,
      "    + and",
      `      + role:reader (${roles})`,
      "      + project_id:%(project_id)s (caller: p1, target: p1)",
    ].join("\n"),
  )
  const decidedBy = (trace: Trace) => decisiveChecks(trace).map((t) => t.check)
  const own = "role:reader and project_id:%(project_id)s"
  assert.deepEqual(decidedBy(yes.trace), ["thing:get", `rule:admin_required or (${own})`, own])
  policy.override({ "thing:get": "role:reader and project_id:%(project_id)s" })
  const no = policy.explain(member, "thing:get", { project_id: "p2" })
  assert.equal(no.isAllowed, false)
  assert.deepEqual(decidedBy(no.trace), ["thing:get", own, "project_id:%(project_id)s"])
})

test("deciding and explaining agree on every rule, caller and target", () => {
  const parts = ["role:admin", "role:reader", "project_id:%(project_id)s", "rule:other", "@", "!"]
  const texts = parts.flatMap((a) =>
    parts.flatMap((b) => [`${a} or not ${b}`, `${a} and (${b} or not ${a})`]),
  )
  const callers = [member, { ...member, roles: ["admin"] }, { ...member, roles: [], projectId: "p2" }]
  for (const [at, check] of texts.entries()) {
    const policy = new PolicyEngine()
    policy.declare([{ name: "other", check: "role:member", description: "" }])
    policy.declare([{ name: "r", check, description: "", ...(at % 2 ? { scopes: ["system"] } : {}) }])
    for (const caller of callers) {
      for (const target of [{}, { project_id: "p1" }]) {
        const { isAllowed } = policy.explain(caller, "r", target)
        assert.equal(isAllowed, policy.isAllowed(caller, "r", target), check)
      }
    }
  }
})

test("what no target could allow is known without one", () => {
  const policy = new PolicyEngine()
  const might = (check: string) => {
    policy.override({ r: check })
    return policy.mightAllow(member, "r")
  }
  policy.declare([{ name: "r", check: "@", description: "" }])
  policy.declare([{ name: "systems", check: "@", description: "", scopes: ["system"] }])
  assert.equal(might("role:admin"), false)
  assert.equal(might("role:admin or (role:member and project_id:%(project_id)s)"), true)
  assert.equal(might("role:admin and project_id:%(project_id)s"), false)
  assert.equal(might("role:member and not project_id:%(project_id)s"), true)
  assert.equal(might("not (role:member or project_id:%(project_id)s)"), false)
  assert.equal(might("not (role:admin or not None:%(owner)s)"), true)
  assert.equal(policy.mightAllow(member, "systems"), false)
})

test("overrides: helps of their own, unknown names, circles", () => {
  const policy = new PolicyEngine()
  policy.declare([
    { name: "a", check: "role:admin", description: "" },
    { name: "b", check: "rule:a", description: "", scopes: ["project"] },
  ])
  policy.override({ a: "rule:help", help: "role:member" })
  assert.equal(policy.isAllowed(member, "b"), true)
  assert.deepEqual(
    policy.list().map(({ name, check, isOverridden }) => ({ name, check, isOverridden })),
    [
      { name: "a", check: "rule:help", isOverridden: true },
      { name: "b", check: "rule:a", isOverridden: false },
      { name: "help", check: "role:member", isOverridden: true },
    ],
  )
  const whyOf = (rules: Record<string, string>) => policy.problemsOf(rules).map((p) => `${p.rule} ${p.why}`)
  assert.match(whyOf({ c: "@" }).join(), /^c there is no such rule/)
  assert.match(whyOf({ a: "rule:nothing" }).join(), /^a it asks rule:nothing, which there is not/)
  assert.match(whyOf({ a: "not rule:b" }).join(), /^a it asks itself: a -> b -> a/)
  assert.equal(whyOf({ a: "role:", b: "x", c: "@" }).length, 3, "every mistake, and not only the first")
  assert.equal(policy.isAllowed(member, "b"), true)
})
