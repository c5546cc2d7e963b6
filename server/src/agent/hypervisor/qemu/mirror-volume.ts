// Moves a volume of a guest that runs to another file. A job copies it, and from when the two are the same on it writes
// to both, the guest waiting for both. Then the guest is held for a moment: what it has written is flushed to both, the
// job ends, and the node that its device uses gets the other file below it. The node keeps its name, so that nothing
// else needs to know. QEMU copies from the uppermost node alone, which may be the one that holds the guest to its
// limits: it is held to none until the move is over.
import { eventually } from "../../../platform/clock/clock.ts"
import { agentVolumeCopyBroken } from "../../faults.ts"
import type { DiskSpec } from "../../protocol.ts"
import {
  addBlockdev,
  type BlockJob,
  type BlockNode,
  cancelBlockJob,
  deleteBlockdev,
  dismissJob,
  dropJob,
  eventuallyInQemu,
  findJob,
  ignoreQmpError,
  type QmpConnection,
  queryBlockJobs,
  queryBlockNodes,
  reopenBlockdev,
  setThrottleLimits,
  startMirror,
} from "../../qmp/index.ts"
import type { Commit, LocalVolume, RunningMirror, VolumePlaces, WantedMirror } from "../hypervisor.ts"
import {
  blockdev,
  fileNode,
  movedFileNames,
  noThrottleLimits,
  throttleLimits,
  topNode,
  volumeNames,
} from "./devices.ts"
import { volumeFile } from "./disks.ts"
import type { QemuMachine } from "./machine.ts"
import { reachedBy } from "./reach.ts"
import { lend } from "./volumes.ts"

type User = { uid: number; gid: number } | null

const copyTimeoutMs = 6 * 3_600_000
/** What is left to be written when the guest is held is what it had begun. */
const endTimeoutMs = 60_000
const pollMs = 50

const jobOf = (volumeId: string) => `move-${volumeId}`

/** Null: QEMU has it not open. */
export async function mirrorVolume(
  machine: QemuMachine,
  { disk, to, signal }: WantedMirror,
  runAs: User,
): Promise<RunningMirror | null> {
  const volumeId = disk.name
  if (!machine.isAlive) return null
  const qmp = await machine.qmp("move a volume of")
  const [job, { limits }] = [jobOf(volumeId), volumeNames(volumeId)]
  await dropJob(qmp, job)
  const nodes = await queryBlockNodes(qmp)
  if (!nodeOf(nodes, volumeId)) return null
  const target = await freeName(qmp, volumeId)
  const file = mirrorFile(machine, { volumeId, to })
  await lend(file.ownPath, runAs, () => addBlockdev(qmp, { ...fileNode(file), "node-name": target }))
  try {
    await startMirror(qmp, { "job-id": job, device: topNode(disk), target })
    if (disk.ioLimits) await setThrottleLimits(qmp, limits, noThrottleLimits(disk.ioLimits))
  } catch (error) {
    await dropJob(qmp, job)
    await ignoreQmpError(deleteBlockdev(qmp, target))
    throw error
  }
  return { end: () => untilReady(machine, volumeId, signal) }
}

async function untilReady(machine: QemuMachine, volumeId: string, signal: AbortSignal): Promise<void> {
  const look = async () => {
    if (!machine.isAlive) return "ended" as const
    const job = await mirrorOf(await machine.qmp("move a volume of"), volumeId)
    return !job || job.ready === true || job.status === "concluded" ? { job } : false
  }
  const seen = await eventually("the two places of a volume to be the same", look, {
    ...{ timeoutMs: copyTimeoutMs, intervalMs: pollMs, signal },
  })
  if (seen === "ended") throw agentVolumeCopyBroken(volumeId, "its machine ended")
  mustBeReady(seen.job, volumeId)
}

async function mirrorOf(qmp: QmpConnection, volumeId: string): Promise<BlockJob | undefined> {
  return (await queryBlockJobs(qmp)).find(({ device }) => device === jobOf(volumeId))
}

function mustBeReady(job: BlockJob | undefined, volumeId: string): void {
  // A full disk is known by these words.
  if (job?.error !== undefined) throw new Error(`volume ${volumeId} could not be moved: ${job.error}`)
  if (job?.ready !== true) throw agentVolumeCopyBroken(volumeId, "it is copied no more")
}

export async function switchVolume(
  machine: QemuMachine,
  disk: DiskSpec,
  to: LocalVolume,
  commit: Commit,
): Promise<void> {
  const volumeId = disk.name
  if (!machine.isAlive) throw agentVolumeCopyBroken(volumeId, "its machine ended")
  const qmp = await machine.qmp("move a volume of")
  const file = mirrorFile(machine, { volumeId, to })
  mustBeReady(await mirrorOf(qmp, volumeId), volumeId)
  const target = fileNodeName(await queryBlockNodes(qmp), volumeId, file)
  await machine.refresh()
  const wasRunning = machine.state.power === "running"
  if (wasRunning) await machine.pause()
  try {
    // Of a job that is ready it is the end without a change of who uses what; it writes and flushes what is left.
    await cancelBlockJob(qmp, jobOf(volumeId))
    await endOfJob(qmp, volumeId)
    await commit(true)
    await reopenBlockdev(qmp, { ...blockdev(file), file: target })
  } catch (error) {
    // It goes on with what it had, if anything.
    await commit(false)
    throw error
  } finally {
    if (machine.isAlive) await holdToLimits(qmp, disk)
    if (wasRunning && machine.isAlive) await machine.resume()
  }
}

/** Says what is open, after ending what is on its way. */
export async function endMirror(
  machine: QemuMachine,
  disk: DiskSpec,
  places: VolumePlaces,
): Promise<string | null> {
  if (!machine.isAlive) return null
  const volumeId = disk.name
  const qmp = await machine.qmp("end the move of a volume of")
  await dropJob(qmp, jobOf(volumeId))
  await holdToLimits(qmp, disk)
  for (const name of movedFileNames(volumeId)) await ignoreQmpError(deleteBlockdev(qmp, name))
  const node = nodeOf(await queryBlockNodes(qmp), volumeId)
  if (!node) return null
  const found = Object.entries(places).find(([_backend, volume]) => {
    if (volume.kind !== "file") return false
    // As it was given to QEMU at its start, or later.
    return node.file === volume.path || node.file === reachedBy(machine, volume.path)
  })
  if (!found) throw new Error(`QEMU has volume ${volumeId} open at ${node.file}, which is none of its places`)
  return found[0]
}

/** Its guest is as before. */
async function holdToLimits(qmp: QmpConnection, { name, ioLimits }: DiskSpec): Promise<void> {
  if (!ioLimits) return
  await ignoreQmpError(setThrottleLimits(qmp, volumeNames(name).limits, throttleLimits(ioLimits)))
}

function mirrorFile(machine: QemuMachine, { volumeId, to }: { volumeId: string; to: LocalVolume }) {
  const disk: DiskSpec = {
    ...{ name: volumeId, sizeBytes: 0, bus: "virtio", bootIndex: null },
    source: { kind: "volume", volumeId, backend: "" },
  }
  const file = volumeFile(disk, to)
  return { ...file, ownPath: file.path, path: reachedBy(machine, file.path) }
}

function nodeOf(nodes: readonly BlockNode[], volumeId: string): BlockNode | undefined {
  return nodes.find((node) => node["node-name"] === volumeNames(volumeId).node)
}

/** The one of the two that no earlier move has left in use. */
async function freeName(qmp: QmpConnection, volumeId: string): Promise<string> {
  for (const name of movedFileNames(volumeId)) await ignoreQmpError(deleteBlockdev(qmp, name))
  const nodes = await queryBlockNodes(qmp)
  const free = movedFileNames(volumeId).find((name) => !nodes.some((node) => node["node-name"] === name))
  if (free === undefined) throw new Error(`QEMU does not let go of the places where volume ${volumeId} was`)
  return free
}

function fileNodeName(nodes: readonly BlockNode[], volumeId: string, { path }: { path: string }): string {
  const names = movedFileNames(volumeId)
  const found = nodes.find((node) => names.includes(node["node-name"]) && node.file === path)
  if (!found) throw agentVolumeCopyBroken(volumeId, "its target is not open")
  return found["node-name"]
}

async function endOfJob(qmp: QmpConnection, volumeId: string): Promise<void> {
  const id = jobOf(volumeId)
  const ended = async () => {
    const job = await findJob(qmp, id)
    return !job || (job.status === "concluded" && job)
  }
  const job = await eventuallyInQemu("the mirror of a volume to end", ended, {
    ...{ timeoutMs: endTimeoutMs, intervalMs: 10 },
  })
  if (job === true) throw agentVolumeCopyBroken(volumeId, "it is copied no more")
  await dismissJob(qmp, id)
  if (job.error !== undefined) throw new Error(`volume ${volumeId} could not be moved: ${job.error}`)
}
