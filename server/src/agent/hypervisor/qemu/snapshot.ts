// Copies a disk to a qcow2 file that needs no other. Of a running machine QEMU itself copies the disk as it is at
// this moment while the guest goes on writing. Where QEMU, having given up root, cannot reach the target, the guest
// is paused and the disk is read from outside.
import { chown, copyFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { exec } from "../../../platform/exec/exec.ts"
import { agentDiskMissing } from "../../faults.ts"
import {
  addBlockdev,
  backupBlockdev,
  deleteBlockdev,
  eventuallyInQemu,
  QmpError,
  queryBlockJobs,
} from "../../qmp/index.ts"
import type { DiskFile } from "./disks.ts"
import type { QemuMachine } from "./machine.ts"
import { reachedBy } from "./reach.ts"

const copyTimeoutMs = 3_600_000
const jobId = "snapshot"
const targetNode = "snapshot-target"

export async function snapshotDisk(
  machine: QemuMachine,
  files: readonly DiskFile[],
  diskName: string,
  toPath: string,
  runAs: { uid: number; gid: number } | null,
): Promise<{ sizeBytes: number }> {
  const file = files.find((one) => one.disk.name === diskName)
  if (!file) throw agentDiskMissing(machine.serverId, diskName)
  const work = join(machine.directory.jobs, "snapshot.qcow2")
  await rm(work, { force: true })
  try {
    if (!machine.isAlive) await convert(file, work, false)
    else if (!(await backup(machine, file, work, runAs))) await convertPaused(machine, file, work)
    await chown(work, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
    await moveFile(work, toPath)
    return { sizeBytes: (await stat(toPath)).size }
  } finally {
    await rm(work, { force: true })
  }
}

/** False when QEMU may not open the target. */
async function backup(
  machine: QemuMachine,
  file: DiskFile,
  work: string,
  runAs: { uid: number; gid: number } | null,
): Promise<boolean> {
  const qmp = await machine.qmp("snapshot")
  const sizeBytes = await virtualSize(file)
  await exec("qemu-img", ["create", "-q", "-f", "qcow2", work, String(sizeBytes)])
  if (runAs) await chown(work, runAs.uid, runAs.gid)
  await dropLeftover(machine)
  try {
    await addBlockdev(qmp, {
      driver: "qcow2",
      "node-name": targetNode,
      "detect-zeroes": "unmap",
      discard: "unmap",
      file: { driver: "file", filename: reachedBy(machine, work) },
    })
  } catch (error) {
    if (error instanceof QmpError && /Permission denied/.test(error.message)) return false
    throw error
  }
  const events = qmp.events()
  try {
    await backupBlockdev(qmp, {
      "job-id": jobId,
      device: file.names.node,
      target: targetNode,
      sync: "full",
    })
    await jobEnd(events)
  } finally {
    await events.return?.()
    await dropLeftover(machine)
  }
  return true
}

async function jobEnd(events: AsyncIterableIterator<{ event: string; data: Record<string, unknown> }>) {
  const timer = setTimeout(() => void events.return?.(), copyTimeoutMs)
  try {
    for await (const { event, data } of events) {
      if (data.device !== jobId) continue
      if (event === "BLOCK_JOB_CANCELLED") throw new Error("the copy of the disk was cancelled")
      if (event !== "BLOCK_JOB_COMPLETED") continue
      if (data.error !== undefined) throw new Error(`the copy of the disk failed: ${String(data.error)}`)
      return
    }
  } finally {
    clearTimeout(timer)
  }
  throw new Error("the machine ended, or took too long, while its disk was copied")
}

/** A job or node of an earlier try that this agent, or the one before it, did not see the end of. */
async function dropLeftover(machine: QemuMachine): Promise<void> {
  if (!machine.isAlive) return
  const qmp = await machine.qmp("snapshot")
  if ((await queryBlockJobs(qmp)).some((job) => job.device === jobId)) {
    await qmp.execute("block-job-cancel", { device: jobId, force: true })
    await eventuallyInQemu(
      "the old copy to end",
      async () => !(await queryBlockJobs(qmp)).some((job) => job.device === jobId),
    )
  }
  try {
    await deleteBlockdev(qmp, targetNode)
  } catch (error) {
    if (!(error instanceof QmpError)) throw error
  }
}

async function convertPaused(machine: QemuMachine, file: DiskFile, work: string): Promise<void> {
  await rm(work, { force: true })
  const wasRunning = machine.state.power === "running"
  // Stopping the guest also writes back what QEMU holds of the disk, so the file is whole.
  if (wasRunning) await machine.pause()
  try {
    await convert(file, work, true)
  } finally {
    if (wasRunning) await machine.resume()
  }
}

async function convert(file: DiskFile, work: string, isShared: boolean): Promise<void> {
  const share = isShared ? ["-U"] : []
  await exec("qemu-img", ["convert", "-q", ...share, "-f", file.format, "-O", "qcow2", file.path, work], {
    timeoutMs: copyTimeoutMs,
  })
}

async function virtualSize(file: DiskFile): Promise<number> {
  const info = await exec("qemu-img", ["info", "-U", "-f", file.format, "--output=json", file.path])
  const parsed: { "virtual-size": number } = JSON.parse(info.stdout)
  return parsed["virtual-size"]
}

async function moveFile(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EXDEV")) throw error
    await copyFile(from, `${to}.tmp`)
    await rename(`${to}.tmp`, to)
  }
}
