import assert from "node:assert/strict"
import { test } from "node:test"
import { exactInteger } from "./exact-integer.ts"

test("all digits of an integer are in the JSON", () => {
  const answer = { total: exactInteger(2n ** 64n - 2n), used: exactInteger(3n) }
  assert.equal(JSON.stringify(answer), '{"total":18446744073709551614,"used":3}')
})
