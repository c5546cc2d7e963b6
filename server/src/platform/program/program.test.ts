import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { ownProgram, readProgram } from "./program.ts"

function makeTree(): Disposable & { path: string } {
  const path = mkdtempSync(join(tmpdir(), "kumoi-program-"))
  writeFileSync(join(path, "package.json"), JSON.stringify({ name: "kumoi", version: "1.2.3" }))
  writeFileSync(join(path, "kumoi"), "")
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

function git(cwd: string, ...args: string[]): string {
  const who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
  return execFileSync("git", [...who, ...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] })
}

test("this program has a version and its numbers", () => {
  const { version, protocol, schema } = ownProgram()
  assert.match(version, /^\d+\.\d+\.\d+(\+[0-9a-f]{8})?$/)
  assert.ok(protocol.oldest >= 1 && protocol.newest >= protocol.oldest)
  assert.ok(schema >= 1)
})

test("a program without numbers is of before there were any; another directory is none", () => {
  using tree = makeTree()
  assert.deepEqual(readProgram(tree.path), {
    version: "1.2.3",
    protocol: { oldest: 1, newest: 1 },
    schema: 0,
  })
  mkdirSync(join(tree.path, "other"))
  assert.equal(readProgram(join(tree.path, "other")), undefined)
})

test("a checkout says its commit: on a branch, packed, detached, in a further worktree", () => {
  using tree = makeTree()
  const { path } = tree
  git(path, "init", "-q")
  git(path, "add", ".")
  git(path, "commit", "-q", "-m", "one")
  const commit = git(path, "rev-parse", "HEAD").slice(0, 8)
  assert.equal(readProgram(path)?.version, `1.2.3+${commit}`)
  git(path, "worktree", "add", "-q", "-b", "more", "worktree")
  assert.equal(readProgram(join(path, "worktree"))?.version, `1.2.3+${commit}`)
  git(path, "pack-refs", "--all")
  assert.equal(readProgram(path)?.version, `1.2.3+${commit}`)
  assert.equal(readProgram(join(path, "worktree"))?.version, `1.2.3+${commit}`)
  git(path, "checkout", "-q", "--detach")
  assert.equal(readProgram(path)?.version, `1.2.3+${commit}`)
})
