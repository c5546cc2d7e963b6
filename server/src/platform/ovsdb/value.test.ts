import assert from "node:assert/strict"
import { test } from "node:test"
import type { ColumnType } from "./schema.ts"
import { decodeValue, encodeValue, sameValue } from "./value.ts"

const set: ColumnType = { kind: "set", key: "string", value: undefined, max: Number.POSITIVE_INFINITY }
const map: ColumnType = { kind: "map", key: "integer", value: "uuid", max: Number.POSITIVE_INFINITY }
const scalar: ColumnType = { kind: "scalar", key: "integer", value: undefined, max: 1 }

test("a set is an array also with one member", () => {
  assert.deepEqual(decodeValue(set, "a"), ["a"])
  assert.deepEqual(decodeValue(set, ["set", []]), [])
  assert.deepEqual(decodeValue(set, ["set", ["a", "b"]]), ["a", "b"])
  assert.deepEqual(encodeValue(set, ["a"]), ["set", ["a"]])
})

test("maps keep the types of their keys and values", () => {
  const wire = ["map", [[3, ["uuid", "u1"]]]]
  assert.deepEqual(decodeValue(map, wire), { 3: "u1" })
  assert.deepEqual(encodeValue(map, { 3: "u1" }), wire)
  assert.deepEqual(encodeValue(map, { 3: { named: "row0" } }), ["map", [[3, ["named-uuid", "row0"]]]])
})

test("a value of the wrong shape or type is refused before it is sent", () => {
  assert.throws(() => encodeValue(scalar, "1"), /not of type integer/)
  assert.throws(() => encodeValue(scalar, [1]), /scalar/)
  assert.throws(() => encodeValue(set, "a"), /array/)
  assert.throws(() => encodeValue(scalar, { named: "row0" }), /row reference/)
})

test("order does not count in comparisons", () => {
  assert.ok(sameValue(["a", "b"], ["b", "a"]))
  assert.ok(!sameValue(["a"], ["b"]))
  assert.ok(sameValue({ a: "1", b: "2" }, { b: "2", a: "1" }))
  assert.ok(!sameValue({ a: "1" }, { b: "1" }))
  assert.ok(!sameValue([], {}))
})
