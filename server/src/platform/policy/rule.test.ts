import assert from "node:assert/strict"
import { test } from "node:test"
import { type Caller, internalCaller } from "../auth/caller.ts"
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
  parseRule(text)({ caller, target, rule: () => assert.fail("no rule here") })

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
  assert.equal(policy.explain(member, "thing:get").isOverridden, true, "a bad file changes nothing")
  assert.throws(() => policy.isAllowed(member, "no:such"), /not declared/)
})
