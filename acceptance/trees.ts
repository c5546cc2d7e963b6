// Other programs than the one of this tree, each in a directory of its own: an earlier commit, or this with changes.
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, utimesSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { run } from "./cloud.ts"

const root = resolve(import.meta.dirname, "..")

export interface Tree extends AsyncDisposable {
  path: string
}

const notCopied = ["node_modules", ".git", ".kumoi", "docs"]

/** This tree as it is now, uncommitted changes included; its libraries are this one's. */
export function copyTree(): Tree {
  const path = mkdtempSync(join(tmpdir(), "kumoi-tree-"))
  cpSync(root, path, {
    ...{ recursive: true, preserveTimestamps: true, verbatimSymlinks: true },
    filter: (source) => resolve(source, "..") !== root || !notCopied.includes(basename(source)),
  })
  symlinkSync(join(root, "node_modules"), join(path, "node_modules"))
  return { path, [Symbol.asyncDispose]: async () => rmSync(path, { recursive: true, force: true }) }
}

/** The program of before: of `KUMOI_UPGRADE_FROM`, or the last release, or the commit before. Null: there is no git here. */
export async function earlierCommit(): Promise<string | null> {
  if (!existsSync(join(root, ".git"))) return null
  const git = async (...args: string[]) =>
    (await run("git", ["-C", root, ...args], { isChecked: false })).stdout.trim()
  const named = process.env.KUMOI_UPGRADE_FROM || (await git("describe", "--tags", "--abbrev=0", "HEAD~1"))
  return (await git("rev-parse", "--verify", "--quiet", `${named || "HEAD~1"}^{commit}`)) || null
}

/** With its libraries installed, so that it can be started where there is no registry. */
export async function checkOutTree(commit: string): Promise<Tree> {
  const path = mkdtempSync(join(tmpdir(), "kumoi-tree-"))
  const tree = {
    path,
    async [Symbol.asyncDispose]() {
      // Its many files first: on a busy machine they take longer than a command gets.
      rmSync(path, { recursive: true, force: true })
      await run("git", ["-C", root, "worktree", "remove", "--force", path], { isChecked: false })
    },
  }
  try {
    await run("git", ["-C", root, "worktree", "add", "--force", "--detach", path, commit])
    const lock = "package-lock.json"
    if (readFileSync(join(path, lock), "utf8") === readFileSync(join(root, lock), "utf8")) {
      await run("cp", ["-a", join(root, "node_modules"), path])
      // As old as what is installed: the launcher installs nothing.
      for (const file of [lock, "tools/bundle-libraries.ts"]) utimesSync(join(path, file), 0, 0)
    }
    await run(join(path, "kumoi"), ["help"], { timeoutMs: 600_000 })
    return tree
  } catch (error) {
    await tree[Symbol.asyncDispose]()
    throw error
  }
}
