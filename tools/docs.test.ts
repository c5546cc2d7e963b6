// What the pages name is there.
import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { root } from "./source-files.ts"

const read = (path: string) => readFileSync(join(root, path), "utf8")
/** From one heading to the next of its level. */
const section = (text: string, heading: string) => text.split(`\n## ${heading}\n`)[1]?.split("\n## ")[0] ?? ""
const filesIn = (text: string) => [...text.matchAll(/`([\w./-]+\.ts)`/g)].map(([, path = ""]) => path)

const architecture = read("docs/architecture.md")
const walks = section(architecture, "Two walks")
const [, ...parts] = walks.split(/^\*\*|^Paths/m)

test("the files that architecture.md walks through and points at are there", () => {
  const named = [...filesIn(walks), ...filesIn(section(architecture, "Where is …?"))]
  assert.ok(named.length > 60, `${named.length} files are named`)
  assert.deepEqual(
    named.filter((path) => !existsSync(join(root, "server/src", path))),
    [],
  )
})

test("a walk names each file once", () => {
  assert.equal(parts.length, 3, "what both begin with, and the two")
  const [beginning = "", ...two] = parts
  for (const walk of two) {
    const named = filesIn(beginning + walk)
    assert.deepEqual(
      named.filter((path, n) => named.indexOf(path) !== n),
      [],
    )
  }
})

test("the commands that README.md shows are those of the command line", () => {
  const shown = [...read("README.md").matchAll(/\.\/kumoi (\w+)/g)].map(([, name = ""]) => name)
  const commands = [...read("server/src/cli.ts").matchAll(/^ {2}(\w+): \{/gm)].map(([, name = ""]) => name)
  assert.ok(commands.includes("up"))
  assert.deepEqual(
    [...new Set(shown)].filter((name) => !commands.includes(name)),
    [],
  )
})
