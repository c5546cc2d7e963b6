// Style that is not tested is a wish. Lists of exceptions here may only shrink.
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { test } from "node:test"
import { apisOf } from "../server/src/engine/service.ts"
import { services } from "../server/src/services.ts"
import { stalePages } from "./generate-reference.ts"
import { checkLayering, findCycles, serviceOrder } from "./layering.ts"
import { readSourceFiles, root } from "./source-files.ts"

const files = readSourceFiles()
/** What runs in a cloud: neither tests nor what is for them. */
const isOfProgram = ({ path }: { path: string }) =>
  path.startsWith("server/src/") && !path.endsWith(".test.ts") && !path.includes("/testing/")
const lineCountMax = 500
const lineLengthMax = 120

/** A message stays in one piece, so that it can be searched for; it does not count. */
function lengthWithoutText(line: string): number {
  const texts = line.match(/"[^"]*"|`[^`]*`?|'[^']*'|\/[^/]+\//g) ?? []
  return line.length - Math.max(0, ...texts.map((text) => text.length))
}

test("imports go one way", () => {
  assert.deepEqual(checkLayering(files), [])
})

test("no cycle of imports", () => {
  assert.deepEqual(findCycles(files), [])
})

test(`a file has at most ${lineCountMax} lines, a line at most ${lineLengthMax} characters`, () => {
  const problems: string[] = []
  for (const { path, lines } of files) {
    if (lines.length > lineCountMax + 1) problems.push(`${path}: ${lines.length} lines`)
    lines.forEach((line, i) => {
      if (lengthWithoutText(line) > lineLengthMax)
        problems.push(`${path}:${i + 1}: ${line.length} characters`)
    })
  }
  assert.deepEqual(problems, [])
})

test("an SQL schema is named only by its own service", () => {
  const problems: string[] = []
  for (const { path, text } of files.filter(isOfProgram)) {
    for (const folder of serviceOrder) {
      if (path.startsWith(`server/src/${folder}/`)) continue
      const service = folder.replaceAll("-", "_")
      if (
        new RegExp(`\\b(from|join|into|update)\\s+${service}\\.`).test(text) ||
        text.includes(`From("${service}.`)
      ) {
        problems.push(`${path} names tables of ${service}`)
      }
    }
  }
  assert.deepEqual(problems, [])
})

test("the agent runs qemu-img in one place, which obeys no header", () => {
  const others = files.filter(
    ({ path, text }) =>
      path.startsWith("server/src/agent/") && isOfProgram({ path }) && /["'`]qemu-img["'`]/.test(text),
  )
  assert.deepEqual(
    others.map(({ path }) => path),
    ["server/src/agent/qemu-img.ts"],
  )
})

test("sums of what streams through us are made on threads of their own", () => {
  const problems = files
    .filter(
      ({ path }) => /^server\/src\/(agent|block-storage|compute|image)\//.test(path) && isOfProgram({ path }),
    )
    .filter(({ text }) => /\bcreateHash\([^()]*\)(?!\s*\.update\()/.test(text))
    .map(({ path }) => `${path}: openStreamHash of platform/hash, so that the event loop goes on answering`)
  assert.deepEqual(problems, [])
})

test("what a caller's roles mean is said by policy rules: others ask can(ctx, rule)", () => {
  const asks = /\bcaller\??\.roles\b|\broles\??\.includes\(|\{[^}]*\broles\b[^}]*\} = (\w+\.)*caller\b/
  const problems = files
    .filter(({ path }) => path.startsWith("server/src/") && !path.startsWith("server/src/platform/policy/"))
    .filter(({ path }) => !path.endsWith(".test.ts"))
    .flatMap(({ path, lines }) => lines.flatMap((line, i) => (asks.test(line) ? [`${path}:${i + 1}`] : [])))
  assert.deepEqual(problems, [])
})

test("a port's text binds it to no server: who means a server's ports asks server_id (ADR 14)", () => {
  const believes = /device_owner\s*(~|like|=|in)\s*\(?'compute|\bdevice_id\s*(=|in\b)[^,\n]*[sS]erver/
  const trusting = files.filter(
    ({ path, text }) =>
      isOfProgram({ path }) &&
      text.split("\n").some((line) => believes.test(line) && !/device_id = \$\{[\w.]*serverId\},/.test(line)),
  )
  assert.deepEqual(
    trusting.map(({ path }) => path),
    [],
  )
})

/** Each hides a verb behind a word that nobody looks for; the words are in docs/how-to/add-an-operation.md. */
const oldNames = /\/(crud|find|show|verbs|[a-z-]+-verbs)\.ts$/

test("a file of a service is named by its noun or verb: read, create, update, delete", () => {
  const problems = files
    .filter(({ path }) => serviceOrder.some((service) => path.startsWith(`server/src/${service}/`)))
    .filter(
      ({ path, text }) => oldNames.test(path) || (path.endsWith("/change.ts") && /\boperation\(/.test(text)),
    )
    .map(({ path }) => path)
  assert.deepEqual(problems, [])
})

test("every route says its policy, and none is there twice", () => {
  const seen = new Set<string>()
  const problems: string[] = []
  for (const api of apisOf(services)) {
    for (const route of [
      ...(api.rootRoutes ?? []).map((r) => ({ ...r, at: "" })),
      ...api.routes.map((r) => ({ ...r, at: api.version })),
    ]) {
      const key = `${api.service} ${route.method} ${route.at}${route.path} ${route.min ?? ""}-${route.max ?? ""}`
      if (Array.isArray(route.policy) && route.policy.length === 0) problems.push(`${key}: no policy`)
      if (seen.has(key)) problems.push(`${key}: declared twice`)
      seen.add(key)
    }
  }
  assert.deepEqual(problems, [])
})

test("a saga's rows change by s.transact or withLog, which assert its fence", () => {
  const problems: string[] = []
  for (const { path, text } of files) {
    if (!path.endsWith(".saga.ts")) continue
    if (/(?<![.\w])transact\(\s*(?:s\.)?ctx\.db\b/.test(text)) problems.push(`${path}: transact(ctx.db`)
  }
  assert.deepEqual(problems, [])
})

test("docs/reference says what the declarations say (node tools/generate-reference.ts writes it)", () => {
  assert.deepEqual(stalePages(), [])
})

test("types", { timeout: 900_000 }, () => {
  run("tsc", ["--noEmit"])
})

test("lint and format", () => {
  run("biome", ["check", ".", "--max-diagnostics=40"])
})

function run(program: string, args: string[]): void {
  try {
    execFileSync(join(root, "node_modules/.bin", program), args, {
      cwd: root,
      encoding: "utf8",
      stdio: "pipe",
    })
  } catch (error) {
    const output =
      error instanceof Error && "stdout" in error && "stderr" in error
        ? `${error.stdout}${error.stderr}`
        : String(error)
    assert.fail(output.slice(-6_000))
  }
}
