// Copies a disk to a qcow2 file that needs no other. Of a running machine QEMU itself copies the disk as it is at
// this moment while the guest goes on writing. Where QEMU, having given up root, cannot reach the target, the guest
// is paused and the disk is read from outside.
import { copyFile, rename, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { agentDiskMissing } from "../../faults.ts"
import type { VmSpec } from "../../protocol.ts"
import { convertImage, type ImageFile } from "../../qemu-img.ts"
import {
  backupBlockdev,
  deleteBlockdev,
  eventuallyInQemu,
  QmpError,
  queryBlockJobs,
  queryBlockNodes,
} from "../../qmp/index.ts"
import { copySparse } from "../../volumes/copy-data.ts"
import type { DiskFile } from "./disks.ts"
import { whileStill } from "./guest-agent.ts"
import { openTarget } from "./job-target.ts"
import type { QemuMachine } from "./machine.ts"

const copyTimeoutMs = 3_600_000
const jobId = "snapshot"
const targetNode = "snapshot-target"

export interface SnapshotHow {
  spec: VmSpec
  files: readonly DiskFile[]
  runAs: { uid: number; gid: number } | null
}

export async function snapshotDisk(
  machine: QemuMachine,
  diskName: string,
  toPath: string,
  { spec, files, runAs }: SnapshotHow,
): Promise<{ sizeBytes: number }> {
  const still: Still = (act) => {
    const isRunning = machine.state.power === "running"
    return whileStill({ directory: machine.directory, spec, isRunning }, act)
  }
  const file = files.find((one) => one.disk.name === diskName)
  if (!file) throw agentDiskMissing(machine.serverId, diskName)
  // Where QEMU writes, and what is made of that: it may write there for as long as it lives.
  const work = join(machine.directory.jobs, "snapshot.raw")
  const whole = join(machine.directory.jobs, "snapshot.qcow2")
  const remove = async () => {
    for (const path of [work, whole]) await rm(path, { force: true })
  }
  await remove()
  try {
    if (!machine.isAlive) await convert(file, whole)
    else if (await backup(machine, file, { work, runAs, still }))
      await convert({ path: work, format: "raw" }, whole)
    else await still(() => convertPaused(machine, file, work, whole))
    await moveFile(whole, toPath)
    return { sizeBytes: (await stat(toPath)).size }
  } finally {
    await remove()
  }
}

/** What is done while the guest's file systems are whole. */
type Still = <T>(act: () => Promise<T>) => Promise<T>

/** False when QEMU may not open the target. */
async function backup(
  machine: QemuMachine,
  file: DiskFile,
  { work, runAs, still }: { work: string; runAs: SnapshotHow["runAs"]; still: Still },
): Promise<boolean> {
  const qmp = await machine.qmp("snapshot")
  await dropLeftover(machine)
  const nodes = await queryBlockNodes(qmp)
  const target = { node: targetNode, path: work, source: file.names.node, runAs }
  if (!(await openTarget(machine, qmp, nodes, target))) return false
  const events = qmp.events()
  try {
    // The copy is of the moment in which it begins.
    const job = { "job-id": jobId, device: file.names.node, target: targetNode, sync: "full" } as const
    await still(() => backupBlockdev(qmp, job))
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

/** What has a header is read from a copy: QEMU, halted or not, may write into the one that it has. */
async function convertPaused(machine: QemuMachine, file: DiskFile, work: string, to: string): Promise<void> {
  await rm(work, { force: true })
  const wasRunning = machine.state.power === "running"
  // Stopping the guest also writes back what QEMU holds of the disk, so the file is whole.
  if (wasRunning) await machine.pause()
  try {
    await copySparse(file.path, work, AbortSignal.timeout(copyTimeoutMs))
  } finally {
    if (wasRunning) await machine.resume()
  }
  await convert({ ...file, path: work }, to)
}

async function convert(from: ImageFile, to: string): Promise<void> {
  await convertImage(from, to, { options: ["-O", "qcow2"], timeoutMs: copyTimeoutMs })
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
