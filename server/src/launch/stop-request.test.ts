// What `down` and `upgrade` leave for the process that they stop, and what a start finds of the one before.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { identifyProcess } from "../platform/exec/process.ts"
import { openCloudDir, stopRequestPath, takeStopRequest, writeJson } from "./cloud-dir.ts"
import { isContinuation } from "./leftovers.ts"

function openDir(): Disposable & ReturnType<typeof openCloudDir> {
  const path = mkdtempSync(join(tmpdir(), "kumoi-stop-"))
  const dir = openCloudDir(path, { canPostgresReach: () => true })
  return { ...dir, [Symbol.dispose]: () => rmSync(path, { recursive: true }) }
}

const own = identifyProcess(process.pid) ?? assert.fail("this process has no identity")

test("a process is asked once, and leaves guests to the next one only when it was meant itself", () => {
  using dir = openDir()
  assert.deepEqual(takeStopRequest(dir, own), { graceMs: 20_000, leavesToNext: false })
  writeJson(stopRequestPath(dir), { graceMs: 7 }, 0o600)
  assert.deepEqual(takeStopRequest(dir, own), { graceMs: 7, leavesToNext: false })
  writeJson(stopRequestPath(dir), { leavesToNext: own }, 0o600)
  assert.equal(takeStopRequest(dir, own).leavesToNext, true)
  assert.equal(takeStopRequest(dir, own).leavesToNext, false)
  // It was killed before it read that; the next one has its pid.
  writeJson(stopRequestPath(dir), { leavesToNext: { ...own, startTicks: own.startTicks - 1 } }, 0o600)
  assert.deepEqual(takeStopRequest(dir, own), { graceMs: 20_000, leavesToNext: false })
})

test("a start goes on from engines and machines that live, and from nothing else", async () => {
  using dir = openDir()
  assert.equal(isContinuation(dir), false)
  const child = spawn("sleep", ["1000"])
  await once(child, "spawn")
  const identity = identifyProcess(child.pid ?? 0)
  const places = [
    [join(dir.runDir, "engines"), "postgres.json", { identity }],
    [join(dir.path, "agent/vms/x"), "handle.json", { handle: { process: identity } }],
  ] as const
  try {
    for (const [folder, file, facts] of places) {
      mkdirSync(folder, { recursive: true })
      writeFileSync(join(folder, file), JSON.stringify(facts))
      assert.equal(isContinuation(dir), true, file)
      rmSync(join(folder, file))
      assert.equal(isContinuation(dir), false, file)
    }
    for (const [folder, file, facts] of places) writeFileSync(join(folder, file), JSON.stringify(facts))
  } finally {
    child.kill("SIGKILL")
    await once(child, "exit")
  }
  assert.equal(isContinuation(dir), false, "they are dead")
})
