import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { eventually } from "../server/src/platform/clock/clock.ts"

/** Whose command line names that folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")
      return /^\d+$/.test(pid) && command.includes(folder) ? [`${pid} ${command}`] : []
    } catch {
      return []
    }
  })
}

test("ctrl-C in the middle of a start leaves nothing", { timeout: 100_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "kumoi-interrupt-"))
  const bench = spawn(process.execPath, [join(import.meta.dirname, "run.ts"), "--part", "start"], {
    stdio: "ignore",
    env: { ...process.env, TMPDIR: folder },
  })
  try {
    const ended = once(bench, "exit")
    const hasStarted = () => globSync("kumoi-bench-*/cloud.json", { cwd: folder }).length > 0
    await eventually("the cloud to be starting", hasStarted, { timeoutMs: 30_000 })
    assert.notDeepEqual(processesOf(folder), [])
    bench.kill("SIGINT")
    const [code] = await ended
    assert.equal(code, 130)
    assert.deepEqual(readdirSync(folder), [])
    assert.deepEqual(processesOf(folder), [])
  } finally {
    bench.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  }
})
