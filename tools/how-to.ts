// Tries what a how-to shows, as somebody would who follows it: in a copy of the tree its blocks of code become files,
// which must be tidy and pass their own tests. A block is tried when its first line is a comment with a file's path
// (from the root). Of a file that is there already it has the lines to add: imports, and entries of the file's list.
import { execFile } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { root } from "./source-files.ts"

export interface Block {
  /** From the root. */
  path: string
  text: string
}

const blockPattern = /^```\w*\n(?:\/\/|--|#) (\S+\/\S+\.\w+)\n([\s\S]*?)^```$/gm

export function readBlocks(markdown: string): Block[] {
  return [...markdown.matchAll(blockPattern)].map(([, path = "", text = ""]) => ({ path, text }))
}

/** The text with these lines: imports behind its imports, anything else at the end of its last list. */
export function addLines(text: string, added: string): string {
  const lines = text.split("\n")
  const isImport = (line: string) => line.startsWith("import ")
  const more = added.split("\n").filter((line) => line !== "")
  const end = lines.lastIndexOf("]")
  if (end < 0 && !more.every(isImport)) throw new Error("there is no list to add lines to")
  lines.splice(end, 0, ...more.filter((line) => !isImport(line)))
  lines.splice(lines.findLastIndex(isImport) + 1, 0, ...more.filter(isImport))
  return lines.join("\n")
}

/** What the checks and the tests of the tree need. */
const copied = [
  ...["server", "tools", "acceptance", "bench", "guest", "docs"],
  ...["kumoi", "package.json", "tsconfig.json", "biome.json", ".gitignore"],
]

/** What tsc knows of the tree's types already: of a copy it looks only at what is other there. */
const knownTypes = ".types.tsbuildinfo"

/** What went wrong first, with the program's output; undefined: nothing. */
export async function tryHowTo(markdown: string): Promise<string | undefined> {
  const copy = mkdtempSync(join(tmpdir(), "kumoi-how-to-"))
  try {
    await copyTree(copy)
    const blocks = readBlocks(markdown)
    const [there, fresh] = [true, false].map((isThere) =>
      blocks.filter(({ path }) => existsSync(join(copy, path)) === isThere).map(({ path }) => path),
    ) as [string[], string[]]
    for (const block of blocks) writeBlock(copy, block)
    for (const [program = "", ...args] of stepsOf(fresh, there)) {
      const problem = await run(copy, program, args)
      if (problem !== undefined) return `${program} ${args.join(" ")}\n${problem}`
    }
    return undefined
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}

async function copyTree(copy: string): Promise<void> {
  if (!existsSync(join(root, knownTypes))) await run(root, "tsc", ["--noEmit"])
  for (const name of [...copied, knownTypes])
    cpSync(join(root, name), join(copy, name), { recursive: true, filter: isSource })
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
}

/** For these files: what is new, and what lines were added to. The rest of the tree has its own tests. */
function stepsOf(fresh: readonly string[], there: readonly string[]): string[][] {
  const tests = fresh.filter(isTest)
  const folders = namesIn(fresh, /^server\/src\/([\w-]+)\/service\.ts$/)
  const services = folders.map((folder) => folder.replaceAll("-", "_"))
  const generated = folders.map((folder) => `server/src/${folder}/tables.ts`)
  return [
    ...services.map((name) => [process.execPath, "tools/generate-tables.ts", name, "--write"]),
    ["tsc", "--noEmit"],
    ...(tests.length > 0 ? [[process.execPath, "--test", ...tests]] : []),
    ["biome", "check", ...[...fresh, ...generated].filter(isTypeScript)],
    // Puts what was added to a list into its order, as `npm run format` does.
    ...(there.some(isTypeScript) ? [["biome", "check", "--write", ...there.filter(isTypeScript)]] : []),
    ...(services.length > 0 || fresh.some(isMigration) ? generators : []),
    testsOfDeclarations(services.length > 0 ? ofServices : fresh.some(isMigration) ? ofSchema : ofCode),
    ...(services.length > 0 ? testsOfServices(services) : []),
  ]
}

const isMigration = (path: string) => path.endsWith(".sql")
const isTypeScript = (path: string) => path.endsWith(".ts")
const isTest = (path: string) => path.endsWith(".test.ts")

function namesIn(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) => pattern.exec(path)?.[1] ?? [])
}

const generators = [
  [process.execPath, "tools/generate-reference.ts"],
  [process.execPath, "tools/dump-schema.ts"],
]

const ofCode = ["tidy"]
const ofSchema = [...ofCode, "schema"]
const ofServices = [...ofSchema, "services", "operations", "openapi", "permissions"]

/** One process loads the program for all of them. Types and form were looked at before. */
function testsOfDeclarations(names: readonly string[]): string[] {
  const skipped = "--test-skip-pattern=^(types|lint and format)$"
  const files = names.map((name) => `tools/${name}.test.ts`)
  return [process.execPath, "--test", "--test-isolation=none", skipped, ...files]
}

/** What every service must stand. The long ones try only these. */
function testsOfServices(names: readonly string[]): string[][] {
  const only = `--test-name-pattern=\\b(${names.join("|")})\\b`
  const long = ["every-saga", "foreign-ids", "noun-lists.db"]
  return [
    [process.execPath, "--test", "tools/accepted.test.ts", "server/test/quotas.test.ts"],
    [process.execPath, "--test", only, ...long.map((name) => `server/test/${name}.test.ts`)],
  ]
}

function isSource(path: string): boolean {
  return !/\/(node_modules|\.cache|\.kumoi)$/.test(path)
}

function writeBlock(copy: string, { path, text }: Block): void {
  const file = join(copy, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, existsSync(file) ? addLines(readFileSync(file, "utf8"), text) : text)
}

async function run(cwd: string, program: string, args: readonly string[]): Promise<string | undefined> {
  // A test runner inside of one would tell it, and not us, what it found.
  const { NODE_TEST_CONTEXT: _outer, ...env } = process.env
  const path = `${join(cwd, "node_modules/.bin")}:${env.PATH ?? ""}`
  return await new Promise((resolve) => {
    const options = { cwd, env: { ...env, PATH: path }, maxBuffer: 64 * 1024 ** 2 }
    execFile(program, [...args], options, (error, stdout, stderr) => {
      resolve(error ? `${stdout}${stderr}`.slice(-6_000) : undefined)
    })
  })
}
