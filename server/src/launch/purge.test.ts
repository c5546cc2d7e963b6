// What `down --purge` takes with it, and what is not its to take.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { openCloudDir } from "./cloud-dir.ts"
import { foreignNames, purge } from "./purge.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-purge-"))
after(() => rmSync(root, { recursive: true }))
const open = (path: string) => openCloudDir(path, { canPostgresReach: () => true })

test("a purge removes what the cloud made, and the directory when nothing else is in it", () => {
  const dir = open(join(root, "own"))
  const made = [
    "agent/vms/x",
    "postgres/base",
    "postgres.restoring.new",
    "postgres.before-restore-20260101T000000",
  ]
  for (const name of [...made, "before-restore-20260101T000000", "tls"]) {
    mkdirSync(join(dir.path, name), { recursive: true })
  }
  writeFileSync(join(dir.path, "passwords.json.tmp"), "")
  assert.deepEqual(purge(dir), [])
  assert.equal(existsSync(dir.path), false)
})

test("a purge leaves what others put there, also under a name that the cloud uses", () => {
  const path = join(root, "foreign")
  mkdirSync(join(path, "images"), { recursive: true })
  writeFileSync(join(path, "images/mine"), "")
  assert.deepEqual(foreignNames(path), ["images"])
  open(path)
  const dir = open(path)
  writeFileSync(join(path, "x"), "")
  writeFileSync(join(path, "policy.yaml"), "")
  mkdirSync(join(path, "postgres"))
  assert.deepEqual(purge(dir), ["images", "policy.yaml", "x"])
  assert.deepEqual(readdirSync(join(path, "images")), ["mine"])
})

test("foreign is what a cloud does not find there by its own making or its operator's", () => {
  const path = join(root, "before")
  assert.deepEqual(foreignNames(path), [])
  mkdirSync(join(path, "log"), { recursive: true })
  writeFileSync(join(path, "policy.yaml"), "")
  assert.deepEqual(foreignNames(path), [])
  writeFileSync(join(path, "mine"), "")
  assert.deepEqual(foreignNames(path), ["mine"])
})
