import assert from "node:assert/strict"
import { test } from "node:test"
import { Held } from "./held.ts"

test("what was noted last ends first, once, and a failure stops nothing", async () => {
  const ended: string[] = []
  const held = new Held()
  held.defer(() => ended.push("first"))
  held.defer(() => {
    throw new Error("no luck")
  })
  held.defer(() => ended.push("last"))
  await assert.rejects(held[Symbol.asyncDispose](), /no luck/)
  await assert.rejects(held[Symbol.asyncDispose](), /no luck/)
  assert.deepEqual(ended, ["last", "first"])
})

test("who asks in the middle of the end waits for it, and nothing more may be started", async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const held = new Held()
  const inner = held.scope()
  let isOver = false
  inner.defer(async () => {
    await promise
    isOver = true
  })
  void inner[Symbol.asyncDispose]()
  assert.throws(() => inner.defer(() => {}), /ending/)
  const outer = held[Symbol.asyncDispose]()
  assert.throws(() => held.scope(), /ending/)
  resolve()
  await outer
  assert.ok(isOver)
})
