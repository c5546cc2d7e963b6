import assert from "node:assert/strict"
import { test } from "node:test"
import { Type } from "typebox"
import { type AnyOperation, type OperationRules, operation } from "../operation/operation.ts"
import { route } from "./wire.ts"

function made(name: string, rules: OperationRules): AnyOperation {
  const facts = { name, input: Type.Object({}), run: async () => {} }
  return typeof rules === "string"
    ? operation({ ...facts, rules })
    : operation({ ...facts, rules, authorize: () => [] })
}

const show = made("test.thing.show", ["get_thing"])
const start = made("test.thing.start", ["start_thing"])
const stop = made("test.thing.stop", ["stop_thing", "start_thing"])
const own = made("test.thing.own", "authenticated")
const free = made("test.thing.free", "public")
const handler = async () => {}
const at = { path: "/things", handler }

test("a route's policy is that of its operations", () => {
  assert.deepEqual(route({ method: "GET", ...at, operation: show }).policy, ["get_thing"])
  const both = route({ method: "POST", ...at, operation: [start, stop], alsoAsks: show })
  assert.deepEqual(both.policy, ["start_thing", "stop_thing"])
  assert.deepEqual(both.operations, [start, stop])
  assert.deepEqual([...both.asking.operations].sort(), [
    "test.thing.show",
    "test.thing.start",
    "test.thing.stop",
  ])
  assert.equal(both.asking.name, "POST /things")
})

test("who may ask one of them may call", () => {
  assert.equal(route({ method: "GET", ...at, operation: [show, own] }).policy, "authenticated")
  assert.equal(route({ method: "GET", ...at, operation: [own, free] }).policy, "public")
})

test("actions name their operations", () => {
  const act = route({ method: "POST", ...at, actions: { start, stop: [stop, show], halt: stop } })
  assert.deepEqual(act.actions, ["start", "stop", "halt"])
  assert.deepEqual(act.operations, [start, stop, show])
  assert.deepEqual(act.policy, ["start_thing", "stop_thing", "get_thing"])
})

test("what is no operation says its policy, and nothing says both or none", () => {
  const document = route({ method: "GET", ...at, policy: "public" })
  assert.deepEqual([document.policy, document.operations], ["public", []])
  // @ts-expect-error both
  route({ method: "GET", ...at, policy: "public", operation: show })
  // @ts-expect-error none
  route({ method: "GET", ...at })
})
