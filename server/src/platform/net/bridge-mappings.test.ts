import assert from "node:assert/strict"
import { test } from "node:test"
import { readBridgeMappings } from "./bridge-mappings.ts"

test("bridge mappings are read, or what is wrong with them is said", () => {
  assert.deepEqual(readBridgeMappings([]), {})
  assert.deepEqual(readBridgeMappings(["public:br-public", "dc.2:br0"]), {
    public: "br-public",
    "dc.2": "br0",
  })
  for (const [texts, message] of [
    [["public"], /"public" is no mapping; write a physical network and a bridge/],
    [["public:"], /is no mapping/],
    [[""], /"" is no mapping/],
    [["public:br a"], /is no mapping/],
    [["public:a-name-of-16-chr"], /is no mapping/],
    [["a:b:c"], /is no mapping/],
    [["public:br1", "public:br2"], /the physical network public is mapped twice/],
    [["a:br1", "b:br1"], /the bridge br1 is mapped twice/],
  ] as const)
    assert.match(String(readBridgeMappings(texts)), message)
})
