import assert from "node:assert/strict"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { type Caller, internalCaller } from "../auth/caller.ts"
import { PolicyEngine } from "./policy.ts"
import { applyPolicyFile } from "./policy-file.ts"

const reader: Caller = { ...internalCaller, systemScope: null, projectId: "p", roles: ["reader"] }

test("a file replaces single rules; a wrong one is named and changes nothing", () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-policy-"))
  const path = join(dir, "policy.yaml")
  try {
    const policy = new PolicyEngine()
    policy.declare([{ name: "thing:get", check: "role:admin", description: "" }])
    assert.equal(applyPolicyFile(policy, path), 0)
    writeFileSync(path, '"thing:get": "role:reader"\n')
    assert.equal(applyPolicyFile(policy, path), 1)
    assert.equal(policy.isAllowed(reader, "thing:get"), true)
    for (const text of ['"thing:put": "@"', '"thing:get": 3', '"thing:get": "role:x or"', "- a"]) {
      writeFileSync(path, text)
      assert.throws(() => applyPolicyFile(policy, path), /policy\.yaml: /)
    }
    assert.equal(policy.isAllowed(reader, "thing:get"), true)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
