import assert from "node:assert/strict"
import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { newUuid } from "../../../platform/ids/ids.ts"
import { boundConsoleLog, lastLines, readConsoleLog } from "./console-log.ts"
import { makeRunDirectory, runDirectory } from "./run-directory.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-console-"))
after(() => rmSync(root, { recursive: true }))

test("lines are counted as Nova counts them", () => {
  assert.equal(lastLines("a\nb\nc\n", null), "a\nb\nc\n")
  assert.equal(lastLines("a\nb\nc\n", 2), "c\n")
  assert.equal(lastLines("a\nb\nc", 2), "b\nc")
  assert.equal(lastLines("a\nb", 0), "")
  assert.equal(lastLines("a\nb", -1), "")
  assert.equal(lastLines("a", 100), "a")
})

test("the log stays bounded, and its end is whole over the cuts", async () => {
  const directory = runDirectory(root, newUuid())
  await makeRunDirectory(directory)
  assert.equal(await readConsoleLog(directory, null), "")
  const limit = 1_000
  assert.equal(await boundConsoleLog(directory, limit), false)
  let all = ""
  for (let i = 0; i < 100; i++) {
    const text = `line ${i} of what a guest says\n`
    all += text
    appendFileSync(directory.serialLog, text)
    await boundConsoleLog(directory, limit)
  }
  const kept = await readConsoleLog(directory, null)
  assert.ok(all.endsWith(kept))
  assert.ok(kept.length >= limit && kept.length < 3 * limit, String(kept.length))
  appendFileSync(directory.serialLog, "x".repeat(50 * limit))
  assert.equal(await boundConsoleLog(directory, limit), true)
  assert.equal(statSync(directory.serialLogOld).size, limit)
  assert.equal(statSync(directory.serialLog).size, 0)
})
