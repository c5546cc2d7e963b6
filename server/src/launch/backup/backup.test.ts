// Where a backup may be written, and what is said of one that cannot be read.
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { makeTarget } from "./backup.ts"
import { fileFault, withFileFaults } from "./file-fault.ts"
import { readManifest } from "./manifest.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-backup-"))
after(() => rmSync(root, { recursive: true }))
const dataDir = join(root, "data")
mkdirSync(join(dataDir, "postgres"), { recursive: true })

test("a backup is not written into the data directory, by whatever way", () => {
  symlinkSync(dataDir, join(root, "link"))
  const own = [dataDir, join(root, "outside")]
  mkdirSync(join(root, "outside/postgres"), { recursive: true })
  const inside = [dataDir, join(dataDir, "b"), join(dataDir, "postgres/b/c"), join(root, "link/b")]
  for (const path of [...inside, join(root, "outside/postgres/b")]) {
    assert.throws(() => makeTarget(path, own), /lies in the cloud's own directory/, path)
  }
  makeTarget(join(root, "data-2/b"), own)
})

test("a directory that cannot be made is said so, also where the system denies it without end", async () => {
  const make = (path: string) => withFileFaults(path, async () => makeTarget(path, [dataDir]))
  await assert.rejects(
    make("/proc/kumoi/b"),
    /^Fault: \/proc\/kumoi is not there and cannot be made there\.$/,
  )
  writeFileSync(join(root, "file"), "")
  await assert.rejects(make(join(root, "file")), /file is there already and is not a directory\.$/)
  await assert.rejects(make(join(root, "file/b")), /file is there already and is not a directory\.$/)
  mkdirSync(join(root, "full/x"), { recursive: true })
  await assert.rejects(make(join(root, "full")), /is not empty/)
})

test("errors of the file system become sentences, those of others stay", () => {
  const of = (code: string, over: object = {}) =>
    fileFault(Object.assign(new Error(`${code}: raw`), { code, syscall: "write", ...over }), "/b")?.message
  assert.match(of("ENOSPC") ?? "", /^The disk is full: .* \/b\./)
  assert.equal(of("EPERM", { path: "/b/x" }), "This user may not read or write /b/x.")
  assert.equal(of("ENOENT", { syscall: "connect" }), undefined)
  assert.equal(fileFault(new TypeError("bug"), "/b"), undefined)
})

test("a manifest of another shape is damaged, and what is missing is named", () => {
  const manifest = (value: unknown) => writeFileSync(join(root, "manifest.json"), JSON.stringify(value))
  assert.throws(() => readManifest(join(root, "none")), /no manifest\.json/)
  assert.throws(() => readManifest(join(root, "file")), /is not a directory/)
  manifest({ format: 1 })
  assert.throws(() => readManifest(root), /is damaged: .*manifest\.json has no right .*tables, .*files/)
  manifest({ format: 2 })
  assert.throws(() => readManifest(root), /of format 2/)
  for (const value of [null, [], "x", {}]) {
    manifest(value)
    assert.throws(() => readManifest(root), /is damaged: .*manifest\.json/)
  }
  const whole = {
    ...{ format: 1, version: "1", createdAt: "2026-01-01T00:00:00Z", cloudId: "0", postgresVersion: "18" },
    ...{ epoch: { number: 1, id: "x" }, migrations: [], sequences: [], files: [] },
    tables: [{ name: "a", columns: ["b"], path: "c" }],
    images: { count: 0, sizeBytes: 0, areIncluded: false, missing: 0 },
  }
  manifest(whole)
  assert.equal(readManifest(root).version, "1")
  manifest({ ...whole, files: [{ path: "x" }], tables: [null] })
  assert.throws(() => readManifest(root), /has no right tables, files\./)
})
