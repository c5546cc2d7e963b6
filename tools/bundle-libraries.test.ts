import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { findLibraries } from "../server/src/launch/modules.ts"
import { bundleLibraries, libraries } from "./bundle-libraries.ts"
import { readSourceFiles } from "./source-files.ts"

test("a library in one file exports what the library does", async () => {
  const dir = await mkdtemp(join(tmpdir(), "kumoi-libraries-"))
  try {
    await bundleLibraries(join(dir, "made"))
    const found = findLibraries(join(dir, "made"))
    assert.deepEqual([...found.keys()].sort(), Object.values(libraries).flat().sort())
    const load = async (specifier: string) => await import(found.get(specifier) ?? "")
    for (const specifier of found.keys()) {
      const [own, made] = [await import(specifier), await load(specifier)]
      const names = (of: object) => Object.keys(of).filter((name) => name !== "module.exports")
      assert.deepEqual(names(made).sort(), names(own).sort(), specifier)
    }
    // One library and not several: what one part of it is told, the others know.
    const { Type } = await load("typebox")
    const { Set: setFormat } = await load("typebox/format")
    setFormat("even", (text: string) => text.length % 2 === 0)
    const { Compile } = await load("typebox/compile")
    const validator = Compile(Type.Object({ a: Type.String({ format: "even" }) }))
    assert.deepEqual([validator.Check({ a: "ab" }), validator.Check({ a: "abc" })], [true, false])
    assert.deepEqual((await load("yaml")).parse("a: [1]"), { a: [1] })
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
})

test("no part of them is imported from elsewhere: it would be there twice", () => {
  const known = Object.values(libraries).flat()
  const isOfLibrary = (specifier: string) =>
    Object.keys(libraries).some((name) => specifier === name || specifier.startsWith(`${name}/`))
  const strangers = readSourceFiles()
    .filter(({ path }) => path.startsWith("server/src/"))
    .flatMap(({ path, imports }) =>
      imports
        .filter(({ specifier, isTypeOnly }) => !isTypeOnly && isOfLibrary(specifier))
        .filter(({ specifier }) => !known.includes(specifier))
        .map(({ specifier }) => `${path}: add ${specifier} to tools/bundle-libraries.ts`),
    )
  assert.deepEqual(strangers, [])
})
