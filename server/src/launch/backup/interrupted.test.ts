// What `up` does about a restore that was interrupted early.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { openCloudDir } from "../cloud-dir.ts"
import { forgetInterrupted } from "./interrupted.ts"

const root = mkdtempSync(join(tmpdir(), "kumoi-interrupted-"))
after(() => rmSync(root, { recursive: true }))

test("what an early interrupted restore left is removed and told; a new directory stays refused", async () => {
  const dir = openCloudDir(join(root, "data"), { canPostgresReach: () => true })
  const said: string[] = []
  const forget = () => forgetInterrupted(dir, (line) => said.push(line))
  await forget()
  assert.deepEqual(said, [])
  mkdirSync(`${dir.postgresDir}.restoring.new`)
  await assert.rejects(forget(), /has not come to its end/)
  mkdirSync(dir.postgresDir)
  mkdirSync(`${dir.postgresDir}.restoring`)
  mkdirSync(join(dir.runDir, "restore/engines"), { recursive: true })
  await forget()
  assert.deepEqual(readdirSync(dir.path).sort(), ["cloud.json", "log", "postgres", "run"])
  assert.equal(existsSync(join(dir.runDir, "restore")), false)
  assert.match(said.join(), /what it left is removed/)
})
