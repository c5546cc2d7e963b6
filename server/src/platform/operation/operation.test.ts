import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { Type } from "typebox"
import type { Caller } from "../auth/caller.ts"
import { systemClock } from "../clock/clock.ts"
import { type AskingRoute, type Ctx, makeCtx, type Platform } from "../context/context.ts"
import { Fault, fault } from "../fault/fault.ts"
import { PolicyEngine } from "../policy/policy.ts"
import { forgetOperationNotes, operationNotes } from "./notes.ts"
import { operation } from "./operation.ts"
import { timesOf } from "./times.ts"

const policy = new PolicyEngine()
policy.declare([
  { name: "get_thing", check: "role:reader", description: "" },
  { name: "get_thing:secret", check: "role:admin", description: "" },
  { name: "see_thing", check: "project_id:%(project_id)s", description: "" },
])
const caller = { projectId: "p", roles: ["reader"], systemScope: null, domainId: null } as unknown as Caller

function ctxOf(route: AskingRoute | null = null): Ctx {
  const platform = { policy, clock: systemClock } as unknown as Platform
  return makeCtx(platform, caller, "req", "http://host", null, route)
}

const routeOf = (...operations: string[]): AskingRoute => ({
  name: "GET /things",
  operations: new Set(operations),
})

const noteTexts = () => operationNotes().map(({ kind, operation, what }) => `${kind} ${operation} ${what}`)

const missing = fault("not_found", "test.thing.not_found", (id: string) => `no ${id}`)
const taken = fault("conflict", "test.thing.taken", () => "taken")

beforeEach(() => forgetOperationNotes())

test("the rule is asked of what was loaded, before the run", async () => {
  const ran: string[] = []
  const show = operation({
    name: "test.thing.show",
    input: Type.Object({ id: Type.String() }),
    faults: [missing],
    load: async (_ctx, { id }) => {
      if (id === "none") throw missing(id)
      return { projectId: id }
    },
    rule: "see_thing",
    target: (_ctx, _input, thing) => ({ project_id: thing.projectId }),
    run: async (_ctx, { id }) => ran.push(id),
  })
  assert.deepEqual([show.rules, show.faultCodes], [["see_thing"], ["test.thing.not_found"]])
  assert.equal(await show(ctxOf(), { id: "p" }), 1)
  await assert.rejects(show(ctxOf(), { id: "q" }), { code: "policy.forbidden" })
  await assert.rejects(show(ctxOf(), { id: "none" }), missing.is)
  await assert.rejects(show(ctxOf(), {} as { id: string }), { code: "request.invalid" })
  assert.deepEqual(ran, ["p"])
  assert.deepEqual(noteTexts(), [])
})

test("a rule that was not declared is a bug; one of an attribute is declared with its thing", async () => {
  const list = operation({
    name: "test.thing.list",
    input: Type.Object({ rule: Type.String() }),
    rules: ["get_thing"],
    authorize: (_ctx, { rule }) => [[rule, {}]],
    run: async () => "listed",
  })
  assert.equal(await list(ctxOf(), { rule: "get_thing" }), "listed")
  await assert.rejects(list(ctxOf(), { rule: "get_thing:secret" }), { code: "policy.forbidden" })
  await assert.rejects(list(ctxOf(), { rule: "see_thing" }), /asks see_thing, which is not among its rules/)
  await assert.rejects(list(ctxOf(), { rule: "get_things" }), /not among its rules/)
})

test("whoever may without a rule", async () => {
  const own = operation({
    name: "test.thing.own",
    input: Type.Object({}),
    rules: "authenticated",
    run: async () => "mine",
  })
  assert.equal(own.rules, "authenticated")
  assert.equal(await own(ctxOf(), {}), "mine")
})

test("an undeclared fault is noted where it comes from, and not what any operation may meet", async () => {
  const inner = operation({
    name: "test.thing.inner",
    input: Type.Object({}),
    rules: "authenticated",
    run: async () => {
      throw taken()
    },
  })
  const outer = operation({
    name: "test.thing.outer",
    input: Type.Object({ kind: Type.String() }),
    rules: "authenticated",
    run: async (ctx, { kind }) => {
      if (kind === "inner") await inner(ctx, {})
      if (kind === "bug") throw new Error("a bug")
      throw new Fault(kind === "unavailable" ? "unavailable" : "over_quota", "test.other", "")
    },
  })
  for (const kind of ["unavailable", "over_quota", "bug"]) await assert.rejects(outer(ctxOf(), { kind }))
  assert.deepEqual(noteTexts(), [])
  await assert.rejects(outer(ctxOf(), { kind: "inner" }), taken.is)
  assert.deepEqual(noteTexts(), ["undeclared_fault test.thing.inner test.thing.taken"])
})

test("what a handler asks is named by its route; what an operation asks is its own affair", async () => {
  const leaf = operation({
    name: "test.leaf.show",
    input: Type.Object({}),
    rules: "authenticated",
    run: async () => 1,
  })
  const tree = operation({
    name: "test.tree.show",
    input: Type.Object({}),
    rules: "authenticated",
    load: (ctx) => leaf(ctx, {}),
    run: (ctx) => leaf(ctx, {}),
  })
  const named = ctxOf(routeOf("test.tree.show"))
  await tree(named, {})
  await tree.admit(named, {})
  await leaf(ctxOf(), {})
  assert.deepEqual(noteTexts(), [])
  await leaf(named, {})
  await leaf(named, {})
  const note = { kind: "unnamed_operation", operation: "test.leaf.show", what: "GET /things", count: 2 }
  assert.deepEqual(operationNotes(), [note])
})

test("times are kept by outcome", async () => {
  const slow = operation({
    name: "test.thing.time",
    input: Type.Object({ fails: Type.Boolean() }),
    faults: [taken],
    rules: "authenticated",
    run: async (_ctx, { fails }) => {
      if (fails) throw taken()
    },
  })
  for (const fails of [true, false, false]) await slow(ctxOf(), { fails }).catch(() => {})
  const { byOutcome } = timesOf("test.thing.time")
  assert.deepEqual(
    [...byOutcome].map(([outcome, { count }]) => [outcome, count]),
    [
      ["conflict", 1],
      ["ok", 2],
    ],
  )
})

test("a time counts in the first bucket that holds it, one over all bounds in none", () => {
  const times = timesOf("test.buckets")
  for (const ms of [1, 1.5, 3, 60_000]) times.add("ok", ms)
  const ok = times.byOutcome.get("ok")
  assert.equal(ok?.count, 4)
  assert.ok(Math.abs((ok?.sumSeconds ?? 0) - 60.0055) < 1e-9)
  assert.deepEqual(ok?.counts, [1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
})
