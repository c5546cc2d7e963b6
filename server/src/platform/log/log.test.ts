import assert from "node:assert/strict"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { exec } from "../exec/exec.ts"

const logModule = JSON.stringify(new URL("log.ts", import.meta.url).href)

/** Runs it in a process of its own, with `createLogger` at hand; returns what it printed. */
async function runProgram(program: string): Promise<string> {
  const text = `const { createLogger } = await import(${logModule}); ${program}`
  const { stdout } = await exec(process.execPath, ["--input-type=module", "--eval", text])
  return stdout
}

test("every line is in the file, in order, also those of the last moment", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-log-"))
  try {
    const file = join(dir, "log/kumoi.log")
    const program = `
      const log = createLogger({ file: ${JSON.stringify(file)} })
      for (let i = 0; i < 1000; i++) {
        log.info({ i }, "line")
        if (i % 100 === 0) await new Promise((done) => setTimeout(done, 1))
      }
      process.exit(0)`
    await runProgram(program)
    const lines = readFileSync(file, "utf8").trimEnd().split("\n")
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).i),
      Array.from({ length: 1000 }, (_, i) => i),
    )
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test("lines that are on their way when the program ends come before those of the last moment", async () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-log-"))
  try {
    const file = join(dir, "kumoi.log")
    // The threads that write are busy, so the first write is still on its way at the end.
    const program = `
      const { pbkdf2 } = await import("node:crypto")
      const log = createLogger({ file: ${JSON.stringify(file)} })
      for (let i = 0; i < 4; i++) pbkdf2("x", "y", 40_000, 64, "sha512", () => {})
      log.info({ i: 0 }, "first")
      for (let i = 1; i < 5; i++) log.info({ i }, "waits")
      process.exit(0)`
    await runProgram(program)
    const lines = readFileSync(file, "utf8").trimEnd().split("\n")
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).i),
      [0, 1, 2, 3, 4],
    )
  } finally {
    rmSync(dir, { recursive: true })
  }
})

test("a log that finds no room neither ends the program nor keeps it from ending", async () => {
  const program = `
    const log = createLogger({ file: "/dev/full" })
    for (let i = 0; i < 5; i++) {
      log.info("not written")
      await new Promise((done) => setTimeout(done, 5))
    }
    console.log("goes on")`
  assert.equal(await runProgram(program), "goes on\n")
})
