// The parent's rules, with a command in place of the cloud: when it starts it again, and what it hands on.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { eventually } from "../platform/clock/clock.ts"
import { watchScript } from "./parent.ts"

function watch(command: string) {
  const dir = mkdtempSync(join(tmpdir(), "kumoi-watch-"))
  // Each start leaves a line.
  const child = spawn(
    "/bin/sh",
    [watchScript, "/bin/sh", "-c", `echo $KUMOI_RESTARTS >>starts; ${command}`],
    {
      cwd: dir,
      stdio: "ignore",
    },
  )
  const ended = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
  const path = join(dir, "starts")
  const starts = () => (existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [])
  return {
    child,
    dir,
    ended,
    starts,
    [Symbol.dispose]() {
      child.kill("SIGTERM")
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

test("what ended by itself is not started again", async () => {
  for (const code of [0, 1, 2, 75, 78]) {
    using watched = watch(`exit ${code}`)
    assert.equal(await watched.ended, code)
    assert.deepEqual(watched.starts(), ["0"], `exit code ${code}`)
  }
})

test("a crash and kill -9 are answered by another start, as long as it takes; its own end ends it", async () => {
  using watched = watch(`if [ -e enough ]; then exit 0; fi; [ $KUMOI_RESTARTS = 0 ] && exit 70; kill -9 $$`)
  await eventually("three starts", () => watched.starts().length >= 3)
  writeFileSync(join(watched.dir, "enough"), "")
  assert.equal(await watched.ended, 0)
  const starts = watched.starts()
  assert.deepEqual(
    starts,
    starts.map((_, at) => String(at)),
  )
})

test("after a crash a host that was removed meanwhile is not started again", async () => {
  using watched = watch(`[ $KUMOI_RESTARTS = 0 ] && exit 70; exit 78`)
  assert.equal(await watched.ended, 78)
  assert.deepEqual(watched.starts(), ["0", "1"])
})

test("after a crash a start that fails is tried again", async () => {
  using watched = watch(`[ $KUMOI_RESTARTS = 0 ] && exit 70; [ $KUMOI_RESTARTS = 1 ] && exit 1; exit 0`)
  assert.equal(await watched.ended, 0)
  assert.deepEqual(watched.starts(), ["0", "1", "2"])
})

test("SIGTERM is handed on, waited for, and answered by the end", async () => {
  using watched = watch(
    `trap 'sleep 0.3; touch cleaned; exit 0' TERM; touch there; while :; do sleep 0.05; done`,
  )
  await eventually("it to run", () => existsSync(join(watched.dir, "there")))
  watched.child.kill("SIGTERM")
  assert.equal(await watched.ended, 0)
  assert.ok(existsSync(join(watched.dir, "cleaned")), "it had the time to end by itself")
  assert.equal(watched.starts().length, 1)
})

test("SIGTERM between two starts ends it", async () => {
  using watched = watch("exit 70")
  await eventually("the first pause", () => watched.starts().length >= 2)
  watched.child.kill("SIGTERM")
  await watched.ended
  const count = watched.starts().length
  assert.ok(count < 5, `${count} starts`)
})

test("an error that nobody caught is told, and ends the process as a crash", async () => {
  for (const bug of [
    'Promise.reject(new Error("nobody waits"))',
    'setTimeout(() => { throw new Error("nobody waits") })',
  ]) {
    const program = `
      import { createLogger } from ${JSON.stringify(join(import.meta.dirname, "../platform/log/log.ts"))}
      import { endWhenUncaught } from ${JSON.stringify(join(import.meta.dirname, "parent.ts"))}
      endWhenUncaught(createLogger({}))
      setInterval(() => {}, 1000)
      ${bug}
    `
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", program],
      { stdio: ["ignore", "ignore", "pipe"] },
    )
    let said = ""
    child.stderr.on("data", (chunk: Buffer) => {
      said += chunk
    })
    const code = await new Promise((resolve) => child.once("close", resolve))
    assert.equal(code, 70, said)
    assert.match(said, /"alarm":"crashed".*nobody waits/)
  }
})
