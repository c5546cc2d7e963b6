import assert from "node:assert/strict"
import { test } from "node:test"
import { Fault } from "../fault/fault.ts"
import { type PageRules, readPage } from "./paging.ts"

const rules: PageRules = {
  sortKeys: { name: "name", created_at: "createdAt" },
  defaultSorts: [{ key: "createdAt", direction: "desc" }],
  defaultDirection: "asc",
  limitMax: 10,
}
const orderOf = (query: string, more: Partial<PageRules> = {}) =>
  readPage(queryOf(query), { ...rules, ...more }).sorts.map(({ key, direction }) => `${key} ${direction}`)

function queryOf(text: string): Record<string, string | string[]> {
  const parameters = new URLSearchParams(text)
  return Object.fromEntries([...parameters.keys()].map((name) => [name, parameters.getAll(name)]))
}

test("keys without a direction have the first one that is there, else what the API says", () => {
  assert.deepEqual(orderOf("sort_key=name"), ["name asc"])
  assert.deepEqual(orderOf("sort_key=name", { defaultDirection: "desc" }), ["name desc"])
  assert.deepEqual(orderOf("sort_key=name&sort_key=created_at&sort_dir=desc"), [
    "name desc",
    "createdAt desc",
  ])
  assert.deepEqual(orderOf("sort=name:desc,created_at"), ["name desc", "createdAt desc"])
  assert.deepEqual(orderOf("sort=name,created_at:DESC"), ["name asc", "createdAt desc"])
})

test("without a key the usual order has the direction that is asked for", () => {
  assert.deepEqual(orderOf(""), ["createdAt desc"])
  assert.deepEqual(orderOf("sort_dir=asc"), ["createdAt asc"])
  assert.deepEqual(orderOf("sort_dir=asc", { defaultSorts: [] }), [])
})

test("other keys and directions are refused", () => {
  for (const query of [
    "sort_key=color",
    "sort_key=name&sort_dir=up",
    "sort_dir=up",
    "sort=name:up",
    "limit=-1",
  ])
    assert.throws(
      () => orderOf(query),
      (error) => error instanceof Fault && error.kind === "invalid",
      query,
    )
  assert.equal(readPage({ limit: "11" }, rules).limit, 10)
})
