import assert from "node:assert/strict"
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { silentLogger } from "../../platform/log/log.ts"
import { createAuditLog } from "./audit-log.ts"

async function withDirectory(run: (directory: string) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), "kumoi-audit-"))
  try {
    await run(join(root, "log"))
  } finally {
    await rm(root, { recursive: true })
  }
}

async function numbersIn(path: string): Promise<number[]> {
  const text = await readFile(path, "utf8")
  return text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).n)
}

test("records are lines in order, for the owner's eyes, also of two writers", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "audit.log")
    const options = { path, bytesMax: 1_000_000, filesKept: 2, log: silentLogger }
    const [one, two] = [createAuditLog(options), createAuditLog(options)]
    for (let n = 0; n < 500; n++) one.write({ n })
    for (let n = 500; n < 600; n++) two.write({ n })
    await Promise.all([one.flush(), two.flush()])
    const found = await numbersIn(path)
    assert.equal(found.length, 600)
    const ofOne = found.filter((n) => n < 500)
    assert.deepEqual(
      ofOne,
      [...ofOne].sort((a, b) => a - b),
    )
    assert.equal((await stat(path)).mode & 0o777, 0o600)
  })
})

test("a file that has grown is set aside, and the oldest goes", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "audit.log")
    const log = createAuditLog({ path, bytesMax: 10, filesKept: 2, log: silentLogger })
    for (let n = 0; n < 5; n++) {
      log.write({ n, text: "longer than the limit" })
      await log.flush()
    }
    assert.deepEqual((await readdir(directory)).sort(), ["audit.log", "audit.log.1", "audit.log.2"])
    assert.deepEqual(await numbersIn(path), [4])
    assert.deepEqual(await numbersIn(`${path}.1`), [3])
    assert.deepEqual(await numbersIn(`${path}.2`), [2])
  })
})

test("a disk that takes nothing does not fail who writes, and gets the rest when it is well", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "a-file", "audit.log")
    const log = createAuditLog({ path, bytesMax: 10, filesKept: 2, log: silentLogger })
    await mkdir(directory)
    await writeFile(join(directory, "a-file"), "")
    log.write({ n: 1 })
    await log.flush()
    await rm(join(directory, "a-file"))
    log.write({ n: 2 })
    await log.flush()
    assert.deepEqual(await numbersIn(path), [1, 2])
  })
})
