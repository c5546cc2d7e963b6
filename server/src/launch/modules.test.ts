import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { pathToFileURL } from "node:url"
import { findLibraries, resolveModule } from "./modules.ts"

const importer = import.meta.url
const libraries = new Map([["typebox", "file:///made/typebox.mjs"]])

test("a module of this program is where its import says, and a library in its one file", () => {
  assert.deepEqual(resolveModule("../platform/fault/fault.ts", importer, libraries), {
    url: import.meta.resolve("../platform/fault/fault.ts"),
    format: "module-typescript",
  })
  assert.equal(resolveModule("typebox", importer, libraries)?.url, "file:///made/typebox.mjs")
})

test("everything else is Node's to find", () => {
  for (const specifier of ["node:fs", "pg", "./words.json", "typebox/none"])
    assert.equal(resolveModule(specifier, importer, libraries), null, specifier)
  // A library's own imports, and the program itself.
  assert.equal(resolveModule("typebox", import.meta.resolve("pg"), libraries), null)
  assert.equal(resolveModule("./a.ts", import.meta.resolve("pg"), libraries), null)
  assert.equal(resolveModule("typebox", undefined, libraries), null)
})

test("files of libraries are used only while those are the same", () => {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-libraries-"))
  try {
    assert.equal(findLibraries(join(dir, "made"), dir).size, 0, "nothing was made")
    mkdirSync(join(dir, "made"))
    mkdirSync(join(dir, "a"))
    const install = (version: string) =>
      writeFileSync(join(dir, "a/package.json"), JSON.stringify({ name: "a", version }))
    const index = { versions: { a: "1.0.0" }, files: { a: "a.mjs", "a/b": "a_b.mjs" } }
    writeFileSync(join(dir, "made/index.json"), JSON.stringify(index))
    install("1.0.0")
    assert.deepEqual(
      [...findLibraries(join(dir, "made"), dir)],
      [
        ["a", pathToFileURL(join(dir, "made/a.mjs")).href],
        ["a/b", pathToFileURL(join(dir, "made/a_b.mjs")).href],
      ],
    )
    install("1.0.1")
    assert.equal(findLibraries(join(dir, "made"), dir).size, 0, "another version is installed")
    writeFileSync(join(dir, "made/index.json"), "{")
    assert.equal(findLibraries(join(dir, "made"), dir).size, 0, "half a file")
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

test("a start loads no HTTP client: 10 MB that an import of node:http brings along", () => {
  const url = (path: string) => JSON.stringify(import.meta.resolve(path))
  const load = ["../main.ts", "./run.ts", "./real-host.ts"].map((path) => `await import(${url(path)})`)
  const tell = `process.stdout.write(process.moduleLoadList.filter((name) => name.includes("undici")).join())`
  const program = [...load, tell].join("\n")
  const words = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program]
  assert.equal(execFileSync(process.execPath, words, { encoding: "utf8" }), "")
})
