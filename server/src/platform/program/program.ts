// What a program says of itself, so that two of different ages know what they can do together (ADR 45). The numbers lie
// in server/program.json, which each can read of the other, whatever else has changed.
import { existsSync, readFileSync, statSync } from "node:fs"
import { join, resolve } from "node:path"

/** Versions of what hosts and their cloud say to each other. */
export interface ProtocolRange {
  oldest: number
  newest: number
}

export interface Program {
  /** `0.1.0`, and of a git checkout its commit: `0.1.0+5ae09a5f`. */
  version: string
  protocol: ProtocolRange
  /** Rises when the program stops using something of the schema; a contraction says from which one on it is safe. */
  schema: number
}

/** Of programs that had no numbers yet. */
export const firstProtocol: ProtocolRange = { oldest: 1, newest: 1 }

/** Where this program lies. */
export const ownTree = resolve(import.meta.dirname, "../../../..")

interface Numbers {
  schema: number
  protocol: ProtocolRange
}

/** The program that lies in a directory; undefined: none does. */
export function readProgram(tree: string): Program | undefined {
  const manifest = readJson<{ name?: string; version?: string }>(join(tree, "package.json"))
  if (manifest?.name !== "kumoi" || !existsSync(join(tree, "kumoi"))) return undefined
  const numbers = readJson<Numbers>(join(tree, "server/program.json"))
  const commit = commitOf(tree)
  return {
    version: `${manifest.version ?? "0"}${commit === null ? "" : `+${commit}`}`,
    protocol: numbers?.protocol ?? firstProtocol,
    schema: numbers?.schema ?? 0,
  }
}

let own: Program | undefined

/** This one, as it was when first asked for: its files may be replaced while it runs. */
export function ownProgram(): Program {
  own ??= readProgram(ownTree)
  if (!own) throw new Error(`${ownTree} is no program of ours`)
  return own
}

/** What a host says of this program. */
export function toldProgram(): { program: Omit<Program, "schema"> } {
  const { version, protocol } = ownProgram()
  return { program: { version, protocol } }
}

const commitLength = 8

/** By git's files, as git itself need not be there; null: the tree is no checkout. */
function commitOf(tree: string): string | null {
  const gitDir = gitDirOf(tree)
  if (gitDir === null) return null
  const head = readText(join(gitDir, "HEAD"))
  const [, ref] = /^ref: (\S+)/.exec(head) ?? []
  const hash = ref === undefined ? head : hashOf(gitDir, ref)
  return /^[0-9a-f]{40}/.test(hash) ? hash.slice(0, commitLength) : null
}

/** Of a further worktree `.git` is a file that names it. */
function gitDirOf(tree: string): string | null {
  const path = join(tree, ".git")
  if (!existsSync(path)) return null
  if (statSync(path).isDirectory()) return path
  const [, named] = /^gitdir: (.+)/.exec(readText(path)) ?? []
  return named === undefined ? null : resolve(tree, named.trim())
}

function hashOf(gitDir: string, ref: string): string {
  const common = resolve(gitDir, readText(join(gitDir, "commondir")).trim())
  for (const dir of [gitDir, common]) {
    const loose = readText(join(dir, ref))
    if (loose !== "") return loose
  }
  const packed = readText(join(common, "packed-refs")).split("\n")
  return packed.find((line) => line.endsWith(` ${ref}`)) ?? ""
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T
  } catch {
    return undefined
  }
}
