import assert from "node:assert/strict"
import { test } from "node:test"
import { newSecret } from "./ids.ts"

test("a secret can be a word of a command line", () => {
  const first = Array.from({ length: 3_000 }, () => newSecret()[0])
  assert.ok(first.includes("_"), "any other character comes first now and then")
  assert.ok(!first.includes("-"))
  assert.match(newSecret(18), /^[\w-]{24}$/)
})
