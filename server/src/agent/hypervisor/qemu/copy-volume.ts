// Copies volumes of a machine as they are at one moment. QEMU that has them open copies them itself while the guest
// goes on: what the guest is about to overwrite is copied before that. Where QEMU, having given up root, cannot reach a
// target, the guest is paused and the volumes are read from outside.
//
// What is copied is taken over from there by whoever asked for it (job-target.ts).
import { rm } from "node:fs/promises"
import { eventually } from "../../../platform/clock/clock.ts"
import { agentVolumeCopyBroken } from "../../faults.ts"
import {
  type Backup,
  dropJob,
  findJob,
  type Job,
  QmpClosedError,
  type QmpConnection,
  queryBlockNodes,
  queryJobs,
  startBackups,
} from "../../qmp/index.ts"
import type { RunningCopy, WantedCopy } from "../hypervisor.ts"
import { volumeNames } from "./devices.ts"
import { whileStill } from "./guest-agent.ts"
import { closeNode } from "./hotplug.ts"
import { openTarget } from "./job-target.ts"
import { readSpec } from "./left-behind.ts"
import type { QemuMachine } from "./machine.ts"

type User = { uid: number; gid: number } | null

interface CopyNames {
  job: string
  node: string
}

const copyTimeoutMs = 6 * 3_600_000
const _cancelTimeoutMs = 60_000
const endTimeoutMs = 10_000
const pollMs = 50
const jobPrefix = "copy-"
const nodePrefix = "c-"

/** A node's name has 31 letters at most. */
function namesOf(name: string): CopyNames {
  return { job: `${jobPrefix}${name}`, node: `${nodePrefix}${name.replaceAll("-", "").slice(0, 29)}` }
}

export async function copyVolumes(
  machine: QemuMachine,
  copies: readonly WantedCopy[],
  runAs: User,
): Promise<RunningCopy[]> {
  if (!machine.isAlive) return copies.map(({ copyStill }) => ({ end: copyStill }))
  try {
    return await beginCopies(machine, copies, runAs)
  } catch (error) {
    if (!(error instanceof QmpClosedError) || !(await machine.waitEnd(endTimeoutMs))) throw error
    const volumeIds = copies.map(({ volumeId }) => volumeId).join(", ")
    throw Object.assign(agentVolumeCopyBroken(volumeIds, "its machine ended"), { cause: error })
  }
}

async function beginCopies(
  machine: QemuMachine,
  copies: readonly WantedCopy[],
  runAs: User,
): Promise<RunningCopy[]> {
  const qmp = await machine.qmp("copy volumes of")
  for (const { name } of copies) await drop(qmp, namesOf(name))
  const nodes = await queryBlockNodes(qmp)
  const names = new Set(nodes.map((node) => node["node-name"]))
  const isOpen = ({ volumeId }: WantedCopy) => names.has(volumeNames(volumeId).node)
  const open = copies.filter(isOpen)
  try {
    for (const copy of open) {
      const { node } = namesOf(copy.name)
      const source = volumeNames(copy.volumeId).node
      if (await openTarget(machine, qmp, nodes, { node, path: pathOf(copy), source, runAs })) continue
      await forget(qmp, open)
      await whileItStands(machine, () => copyPaused(machine, copies))
      return copies.map(() => ({ end: async () => {} }))
    }
    // The copies are of the moment in which they begin: the guest goes on after it.
    if (open.length > 0) await whileItStands(machine, () => startBackups(qmp, open.map(backupOf)))
  } catch (error) {
    await forget(qmp, open)
    throw error
  }
  // What is not open: the machine has it, and was not given it yet; a crash came in between.
  return copies.map((copy) => ({
    end: isOpen(copy) ? () => endOf(machine, copy, namesOf(copy.name)) : copy.copyStill,
  }))
}

/** As far as its guest is one that can be asked, and must (guest-agent.ts). */
async function whileItStands<T>(machine: QemuMachine, act: () => Promise<T>): Promise<T> {
  const { directory, state } = machine
  const input = readSpec(directory)
  const isRunning = state.power === "running"
  return input ? await whileStill({ directory, spec: input.spec, isRunning }, act) : await act()
}

function backupOf({ name, volumeId }: WantedCopy): Backup {
  const { job, node } = namesOf(name)
  // Below what holds the guest to its limits: a copy is not the guest's.
  return { "job-id": job, device: volumeNames(volumeId).node, target: node }
}

function pathOf({ to }: WantedCopy): string {
  if (to.kind !== "file") throw new Error("QEMU copies to files")
  return to.path
}

/** Targets that were made, and are of no use. */
async function forget(qmp: QmpConnection, copies: readonly WantedCopy[]): Promise<void> {
  for (const copy of copies) {
    await drop(qmp, namesOf(copy.name))
    await rm(pathOf(copy), { force: true })
  }
}

/** Of an agent that was killed. What it copied to is of no use to anybody. */
export async function endCopies(machine: QemuMachine): Promise<void> {
  if (!machine.isAlive) return
  const qmp = await machine.qmp("end copies of volumes of")
  for (const { id } of await queryJobs(qmp)) if (id.startsWith(jobPrefix)) await dropJob(qmp, id)
  for (const { "node-name": node } of await queryBlockNodes(qmp)) {
    if (node.startsWith(nodePrefix)) await closeNode(qmp, node)
  }
}

async function endOf(
  machine: QemuMachine,
  { volumeId, signal, copyImage }: WantedCopy,
  names: CopyNames,
): Promise<void> {
  try {
    const job = await eventually("the copy of a volume", () => endedJob(machine, names.job), {
      ...{ timeoutMs: copyTimeoutMs, intervalMs: pollMs, signal },
    })
    if (job === "ended") throw agentVolumeCopyBroken(volumeId, "its machine ended")
    // A full disk is known by these words.
    if (job.error !== undefined) throw new Error(`the copy of volume ${volumeId} failed: ${job.error}`)
  } finally {
    // One that has ended has let go of everything.
    await dropOfLiving(machine, names)
  }
  await copyImage()
}

async function endedJob(machine: QemuMachine, id: string): Promise<Job | "ended" | false> {
  if (!machine.isAlive) return "ended"
  const job = await findJob(await machine.qmp("copy a volume of"), id)
  if (!job) return "ended"
  return job.status === "concluded" && job
}

async function dropOfLiving(machine: QemuMachine, names: CopyNames): Promise<void> {
  try {
    if (machine.isAlive) await drop(await machine.qmp("end the copy of a volume of"), names)
  } catch (error) {
    // The connection is gone a moment before the process is.
    if (!(await machine.waitEnd(endTimeoutMs))) throw error
  }
}

/** QEMU has written and closed the target when this returns. */
async function drop(qmp: QmpConnection, { job, node }: CopyNames): Promise<void> {
  await dropJob(qmp, job)
  await closeNode(qmp, node)
}

/** Stopping the guest also writes back what QEMU holds of the volumes, so the files are whole. */
async function copyPaused(machine: QemuMachine, copies: readonly WantedCopy[]): Promise<void> {
  await machine.refresh()
  const wasRunning = machine.state.power === "running"
  if (wasRunning) await machine.pause()
  try {
    for (const { copyStill } of copies) await copyStill()
  } finally {
    if (wasRunning && machine.isAlive) await machine.resume()
  }
}
