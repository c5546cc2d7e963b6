import assert from "node:assert/strict"
import { test } from "node:test"
import { JsonStream } from "./json-stream.ts"

const messages = [
  { id: 1, text: 'a "quoted} brace' },
  { id: 2, text: "back\\slash" },
  { id: 3, text: "東京", a: [{}] },
]

test("objects are found wherever the bytes are cut", () => {
  const bytes = Buffer.from(messages.map((message) => JSON.stringify(message)).join(""))
  for (let size = 1; size <= bytes.length; size++) {
    const stream = new JsonStream(1000)
    const found: unknown[] = []
    for (let at = 0; at < bytes.length; at += size) found.push(...stream.push(bytes.subarray(at, at + size)))
    assert.deepEqual(found, messages, `pieces of ${size} bytes`)
  }
})

test("an object over the limit and broken JSON are errors", () => {
  assert.throws(() => new JsonStream(10).push(Buffer.from(`{"a":"${"x".repeat(20)}`)), /more than 10/)
  assert.throws(() => new JsonStream(100).push(Buffer.from('{"a":}')), SyntaxError)
})
