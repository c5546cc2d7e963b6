// The words of a refusal are looked for by people and by the suites of others: they stay as they are.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { Fault } from "../fault/fault.ts"
import { checkSchema } from "./schema-check.ts"

type Schema = Readonly<Record<string, unknown>>

/** For each schema bodies and, below each, what is said about it: null where nothing is. All as JSON. */
const golden = readFileSync(new URL("schema-check.golden.txt", import.meta.url), "utf8")

function refusalOf(schema: Schema, body: unknown): string | null {
  try {
    checkSchema(schema, body, "body")
    return null
  } catch (error) {
    assert.ok(error instanceof Fault && error.kind === "invalid", String(error))
    return error.message
  }
}

for (const block of golden.split("# ").slice(1)) {
  const [name = "", schema = "", ...lines] = block.trimEnd().split("\n")
  test(`a body is refused in the same words as ever: ${name}`, () => {
    const bodies = lines.filter((_, i) => i % 2 === 0)
    const wanted = lines.filter((_, i) => i % 2 === 1)
    assert.ok(bodies.length > 0 && bodies.length === wanted.length)
    assert.deepEqual(
      bodies.map((body) => [body, refusalOf(JSON.parse(schema), JSON.parse(body))]),
      bodies.map((body, i) => [body, JSON.parse(wanted[i] ?? "")]),
    )
  })
}

test("names the field of a query, and the way to one that lies deep", () => {
  const schema = { type: "object", properties: { a: { type: "array", items: { type: "integer" } } } }
  assert.throws(
    () => checkSchema(schema, { a: [1, "x"] }, "query"),
    (error) =>
      error instanceof Fault &&
      error.message === "Invalid input for query parameters 1. Value: x. 'x' is not of type 'integer'" &&
      error.detail?.field === "a.1",
  )
})
