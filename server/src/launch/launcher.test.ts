import assert from "node:assert/strict"
import { join } from "node:path"
import { test } from "node:test"
import { exec } from "../platform/exec/exec.ts"

const launcher = join(import.meta.dirname, "../../../kumoi")

test("an option that Node refuses is named; it is not said that there is no Node", async () => {
  const env = { PATH: process.env.PATH, NODE_OPTIONS: "--no-such-flag" }
  const { stderr, exitCode } = await exec(launcher, ["--help"], { env, okCodes: [1] })
  assert.equal(exitCode, 1)
  assert.match(stderr, /does not start with NODE_OPTIONS=--no-such-flag/)
  assert.match(stderr, /not allowed in NODE_OPTIONS/)
})
