import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { acquireLock } from "./lock.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-lock-"))
after(() => rmSync(directory, { recursive: true }))

test("one owner at a time; what it left is free again", () => {
  const path = join(directory, "one.lock")
  for (let round = 0; round < 3; round++) {
    using _lock = acquireLock(path)
    assert.throws(() => acquireLock(path), /run by process/)
  }
  assert.equal(readdirSync(directory).filter((name) => name.startsWith("one.lock")).length, 1)
})

test("of many that find a dead owner's lock one takes it", async () => {
  const path = join(directory, "many.lock")
  writeFileSync(`${path}.1`, JSON.stringify({ pid: 2 ** 22, startTicks: 1, bootId: "none" }))
  const code = `
    const { acquireLock } = await import(${JSON.stringify(join(import.meta.dirname, "lock.ts"))})
    process.stdout.write("ready\\n")
    process.stdin.once("data", () => {
      try { acquireLock(${JSON.stringify(path)}); process.stdout.write("mine\\n") }
      catch (error) { process.stdout.write(error.code + "\\n") }
    })`
  const children = Array.from({ length: 6 }, () =>
    spawn(process.execPath, ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", code], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  )
  try {
    for (const child of children) await once(child.stdout, "data")
    const answers = children.map((child) => once(child.stdout, "data"))
    for (const child of children) child.stdin.write("go\n")
    const words = (await Promise.all(answers)).map((chunks) => String(chunks[0]).trim()).sort()
    assert.deepEqual(words, [...Array(5).fill("cli.already_running"), "mine"])
  } finally {
    for (const child of children) {
      child.kill("SIGKILL")
      await once(child, "exit")
    }
  }
})
