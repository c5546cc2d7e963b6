// What `kumoi status` says of a cloud that does not answer.
import assert from "node:assert/strict"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { identifyProcess, type ProcessIdentity } from "../platform/exec/process.ts"
import { awayText } from "./ask.ts"
import { writeJson } from "./cloud-dir.ts"
import { readCloudStatus } from "./status.ts"

const alive = identifyProcess(process.pid)
assert.ok(alive)
const dead: ProcessIdentity = { ...alive, startTicks: 0 }

async function said(main: { identity: ProcessIdentity; parent: ProcessIdentity | null; isReady: boolean }) {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-status-"))
  try {
    writeJson(join(dir, "cloud.json"), { cloudId: "00000000", createdAt: "" }, 0o644)
    mkdirSync(join(dir, "run"))
    writeJson(join(dir, "run/main.json"), main, 0o600)
    return { state: (await readCloudStatus(dir)).state, text: awayText(dir).replaceAll(dir, "DIR") }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

test("a cloud that does not answer: whether it comes back by itself, and which cloud that is", async () => {
  const stopped = await said({ identity: dead, parent: null, isReady: true })
  assert.equal(stopped.state, "stopped")
  assert.match(stopped.text, /^The cloud in DIR is not running\. Start it with: \.\/kumoi up --data DIR$/)
  const again = await said({ identity: dead, parent: alive, isReady: true })
  assert.equal(again.state, "starting")
  assert.match(again.text, /is being started again, after its process died/)
  const first = await said({ identity: alive, parent: null, isReady: false })
  assert.deepEqual([first.state, first.text.includes("again,")], ["starting", false])
  assert.equal((await said({ identity: alive, parent: null, isReady: true })).state, "stopping")
  assert.match(awayText(join(process.cwd(), ".kumoi")), /kumoi up$/)
})
