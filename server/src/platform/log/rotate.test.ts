import assert from "node:assert/strict"
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { rotateLogs } from "./rotate.ts"

test("a log that grew too large is put aside, so many are kept, and whoever writes it goes on", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-rotate-"))
  const bounds = { bytesMost: 4096, keep: 2 }
  const writer = openSync(join(dir, "postgres.log"), "a")
  const text = (name: string) => readFileSync(join(dir, name), "utf8")
  const line = (n: number) => `${n}`.repeat(5000)
  try {
    writeFileSync(join(dir, "audit.log"), line(9))
    for (let n = 1; n <= 4; n++) {
      writeSync(writer, line(n))
      await rotateLogs(dir, bounds)
      await rotateLogs(dir, bounds)
      assert.equal(text("postgres.log"), "")
      assert.equal(text("postgres.log.1"), line(n))
    }
    writeSync(writer, "after")
    await rotateLogs(dir, bounds)
    assert.equal(text("postgres.log"), "after", "at its beginning, and not behind a hole")
    assert.equal(text("postgres.log.2"), line(3))
    assert.deepEqual(readdirSync(dir).sort(), [
      "audit.log",
      "postgres.log",
      "postgres.log.1",
      "postgres.log.2",
    ])
    assert.equal(text("audit.log"), line(9))
  } finally {
    closeSync(writer)
    rmSync(dir, { recursive: true })
  }
})
