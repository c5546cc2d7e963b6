// The client against QEMU itself. `-machine none` has no guest and starts in an instant.
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, test } from "node:test"
import { eventually } from "../../platform/clock/clock.ts"
import { startDetached } from "../../platform/exec/detach.ts"
import { exec } from "../../platform/exec/exec.ts"
import { endProcess } from "../../platform/exec/process.ts"
import {
  addBlockdev,
  backupBlockdev,
  continueGuest,
  deleteBlockdev,
  QmpConnection,
  QmpError,
  queryBlockJobs,
  queryCpusFast,
  queryStatus,
  queryVersion,
  quitQemu,
  stopGuest,
} from "./index.ts"

const directory = mkdtempSync(join(tmpdir(), "kumoi-qmp-qemu-"))
after(() => rmSync(directory, { recursive: true }))

test("a real QEMU: status, stop and cont with their events, a backup job, an error, quit", async () => {
  const socket = join(directory, "qmp.sock")
  const qemu = await startDetached(
    "qemu-system-x86_64",
    [
      "-machine",
      "none",
      "-nodefaults",
      "-display",
      "none",
      "-S",
      "-qmp",
      `unix:${socket},server=on,wait=off`,
    ],
    { outputFile: join(directory, "qemu.log") },
  )
  try {
    await using qmp = await eventually("QEMU to greet", () => QmpConnection.connect(socket))
    const events = qmp.events()
    const version = await queryVersion(qmp)
    assert.equal(qmp.version, `${version.major}.${version.minor}.${version.micro}`)
    assert.equal((await queryStatus(qmp)).status, "prelaunch")
    await continueGuest(qmp)
    await stopGuest(qmp)
    assert.equal((await queryStatus(qmp)).status, "paused")
    assert.deepEqual(
      [(await events.next()).value?.event, (await events.next()).value?.event],
      ["RESUME", "STOP"],
    )
    assert.deepEqual(await queryCpusFast(qmp), [])
    await assert.rejects(deleteBlockdev(qmp, "nothing"), QmpError)
    const copy = join(directory, "copy.qcow2")
    await exec("qemu-img", ["create", "-q", "-f", "qcow2", copy, "4M"])
    await addBlockdev(qmp, { driver: "null-co", "node-name": "source", size: 4194304, "read-zeroes": true })
    await addBlockdev(qmp, {
      driver: "qcow2",
      "node-name": "target",
      file: { driver: "file", filename: copy },
    })
    await backupBlockdev(qmp, { "job-id": "copy", device: "source", target: "target", sync: "full" })
    await eventually("the job to end", async () => (await queryBlockJobs(qmp)).length === 0)
    await deleteBlockdev(qmp, "target")
    await quitQemu(qmp)
    await qmp.closed
    assert.deepEqual(await qemu.ended, { exitCode: 0, signal: null })
  } finally {
    await endProcess(qemu.identity, { graceMs: 1_000 })
  }
})

test("QEMU's sudden death closes the connection and rejects what was asked", async () => {
  const socket = join(directory, "dying.sock")
  const qemu = await startDetached(
    "qemu-system-x86_64",
    ["-machine", "none", "-nodefaults", "-display", "none", "-qmp", `unix:${socket},server=on,wait=off`],
    { outputFile: join(directory, "qemu.log") },
  )
  await using qmp = await eventually("QEMU to greet", () => QmpConnection.connect(socket))
  process.kill(qemu.identity.pid, "SIGKILL")
  await qmp.closed
  await assert.rejects(queryStatus(qmp), /closed/)
  assert.deepEqual(await qemu.ended, { exitCode: null, signal: "SIGKILL" })
})
