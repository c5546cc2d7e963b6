import assert from "node:assert/strict"
import { writeFile } from "node:fs/promises"
import { test } from "node:test"
import { isDiskFull } from "./disk-full.ts"
import { exec } from "./exec.ts"

const caught = (run: Promise<unknown>): Promise<unknown> =>
  run.then(
    () => assert.fail("it was written"),
    (error: unknown) => error,
  )

test("a full disk is told from other errors, by code and by a program's words, through wrapping", async () => {
  const own = await caught(writeFile("/dev/full", "x"))
  const tool = await caught(exec("dd", ["if=/dev/zero", "of=/dev/full", "count=1"]))
  for (const error of [own, tool]) {
    assert.ok(isDiskFull(error))
    assert.ok(isDiskFull(new Error("no start", { cause: new Error("no file", { cause: error }) })))
  }
  assert.ok(!isDiskFull(await caught(writeFile("/nowhere/x", "x"))))
  assert.ok(!isDiskFull(undefined))
})
