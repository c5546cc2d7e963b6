// What the pages name is there.
import assert from "node:assert/strict"
import { existsSync, readdirSync, readFileSync } from "node:fs"
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

/** Every page at the root and below docs, the generated ones too. */
const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
]
const isThere = (...bases: string[]) => bases.some((path) => existsSync(join(root, path)))

test("the files and folders that pages name are there", () => {
  const named = pages.flatMap((page) =>
    // A command names files, too: `node tools/…`.
    [...read(page).matchAll(/`([^`\n]+)`/g)]
      .flatMap(([, code = ""]) => code.split(/\s+/))
      .filter((path) => /^[\w.-]+\/[\w./-]*$/.test(path))
      .map((path) => ({ page, path })),
  )
  const ofRoot = named.filter(({ path }) =>
    /^(server|tools|docs|bench|guest|acceptance|dashboard)\//.test(path),
  )
  // Said from where sources are; what lies in `testing/` is said from any service's folder.
  const ofSources = named.filter(
    ({ path }) => path.endsWith(".ts") && !/^(server|tools|bench|acceptance|testing)\//.test(path),
  )
  assert.ok(ofRoot.length > 40 && ofSources.length > 60, `${ofRoot.length} and ${ofSources.length}`)
  const missing = [
    ...ofRoot.filter(({ path }) => !isThere(path)),
    ...ofSources.filter(({ path }) => !isThere(join("server/src", path))),
  ]
  assert.deepEqual(missing, [])
})

test("the pages that pages point at are there", () => {
  const links = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!\w+:)([^)#\s]+)/g)].map(([, path = ""]) => join(page, "..", path)),
  )
  assert.ok(links.length > 20, `${links.length} links`)
  assert.deepEqual(
    links.filter((path) => !isThere(path)),
    [],
  )
})

test("each line of the tables of faults names the tests that prove it, and these are there", () => {
  const lines = ["storage-faults.md", "host-faults.md"].flatMap((page) =>
    read(`docs/reference/${page}`)
      .split("\n")
      .filter((line) => line.startsWith("|") && !/^\|(-|.*\| Proved by \|$)/.test(line)),
  )
  assert.ok(lines.length > 70, `${lines.length} lines`)
  const problems: string[] = []
  for (const line of lines) {
    const proof = line.split(" | ").at(-1) ?? ""
    const named = [...proof.matchAll(/`([\w./-]+(?:\.test|-story)\.ts)`: ("[^"]+"(?:, "[^"]+")*)/g)]
    if (named.length === 0) problems.push(`no test: ${line.slice(0, 60)}`)
    for (const [, file = "", names = ""] of named) {
      const text = existsSync(join(root, file)) ? read(file) : ""
      for (const [, name = ""] of names.matchAll(/"([^"]+)"/g))
        if (!text.includes(name)) problems.push(`${file} has no test "${name}"`)
    }
  }
  assert.deepEqual(problems, [])
})

test("a decision has a number of its own", () => {
  const numbers = readdirSync(join(root, "docs/decisions")).map((name) => name.slice(0, 4))
  assert.deepEqual(
    numbers.filter((number, n) => numbers.indexOf(number) !== n),
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

test("the keys and options that nova-conf.md names for Nova's are there", () => {
  const codes = [...read("docs/reference/nova-conf.md").matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code)
  const config = read("docs/reference/config.md")
  const sections = [...config.matchAll(/^## (\w+)$/gm)].map(([, name = ""]) => name)
  const keys = codes.filter((code) => sections.some((section) => code.startsWith(`${section}.`)))
  assert.ok(keys.length > 20, `${keys.length} keys`)
  assert.deepEqual(
    keys.filter((key) => !config.includes(`| \`${key}\` |`)),
    [],
  )
  const options = read("server/src/launch/up-options.ts")
  const named = codes.filter((code) => /^--[a-z-]+$/.test(code)).map((code) => code.slice(2))
  const ofUp = named.filter((name) => !["data", "name", "provider-segment"].includes(name))
  assert.ok(ofUp.length > 8, `${ofUp.length} options`)
  assert.deepEqual(
    ofUp.filter((name) => !new RegExp(`^  "?${name}"?: \\{`, "m").test(options)),
    [],
  )
})
