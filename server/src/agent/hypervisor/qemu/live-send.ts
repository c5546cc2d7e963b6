// A guest leaves for another host while it runs. Its disks are mirrored to there first, each of its writes to both;
// then its memory goes, that of an emulated processor once it is halted. When what is left is little, QEMU halts it,
// the mirrors end, and the rest goes. From then on the guest is whole in two places and runs in neither, and QEMU has
// let go of its volumes: who goes on, and takes them, is not decided here. As the state files say before the memory
// goes that it is halted, an agent that is killed does not let it go on by itself.
import type { Duplex } from "node:stream"
import { eventually } from "../../../platform/clock/clock.ts"
import { agentLiveBroken, agentMachineStateWrong } from "../../faults.ts"
import type { LiveFigures, LiveProgress, MachineLayout } from "../../protocol.ts"
import {
  addBlockdev,
  cancelBlockJob,
  cancelMigration,
  continueMigration,
  deleteBlockdev,
  dismissJob,
  dropJob,
  eventuallyInQemu,
  findJob,
  ignoreQmpError,
  type Migration,
  type QmpConnection,
  queryBlockJobs,
  queryBlockNodes,
  queryJobs,
  queryMachineType,
  queryMigration,
  queryPci,
  queryStatus,
  startMigration,
  startMirror,
  stopGuest,
  usesKvm,
} from "../../qmp/index.ts"
import { writeStateFile } from "../../state-file.ts"
import { sendFile } from "../../travelling-image.ts"
import type { EnsureInput, LiveStreams, SendLiveHow } from "../hypervisor.ts"
import { type DiskFile, diskFiles } from "./disks.ts"
import {
  configStream,
  goesAlong,
  liveSocket,
  makeLiveDirectory,
  memoryStream,
  offerStream,
  removeLiveDirectory,
  streamOf,
  type User,
  untilReadable,
  untilSent,
} from "./live-streams.ts"
import type { QemuMachine } from "./machine.ts"
import { placesOf } from "./saved-line.ts"

const prefix = "live-"
const pollMs = 10
const diskPollMs = 100
const greetingMs = 10_000
const cancelTimeoutMs = 60_000
/** The guest stands still meanwhile: what takes longer has come to a halt. */
const switchTimeoutMs = 60_000

/** How the machine that runs is laid out, hot plugged devices too. */
export async function layoutOf(machine: QemuMachine): Promise<MachineLayout> {
  const qmp = await machine.qmp("migrate")
  const places = Object.fromEntries(placesOf(await queryPci(qmp)))
  return { machineType: await queryMachineType(qmp), places }
}

export async function sendLive(
  machine: QemuMachine,
  input: EnsureInput,
  { streams, how, runAs }: { streams: LiveStreams; how: SendLiveHow; runAs: User },
): Promise<LiveFigures> {
  const { directory } = machine
  await machine.refresh()
  const { power } = machine.state
  if (power !== "running" && power !== "paused") throw agentMachineStateWrong("migrate", power)
  await endLive(machine)
  const qmp = await machine.qmp("migrate")
  await makeLiveDirectory(directory.live, null)
  const offers = new DisposableStack()
  const offer = async (name: string, stream: Duplex) =>
    void offers.use(await offerStream(liveSocket(directory.live, name), stream, runAs))
  try {
    const files = diskFiles(directory, input).filter(goesAlong)
    const config = streams[configStream]
    if (config) await sendFile(config, directory.configDrive, how.signal)
    for (const file of files) {
      const stream = streamOf(streams, file.disk.name)
      await untilReadable(stream, how.signal)
      await offer(file.names.node, stream)
      // A greeting that ends in its middle would hold QEMU, and its guest.
      const stalled = setTimeout(() => stream.destroy(), greetingMs)
      try {
        await mirror(qmp, file, liveSocket(directory.live, file.names.node))
      } finally {
        clearTimeout(stalled)
      }
    }
    await offer(memoryStream, streamOf(streams, memoryStream))
    await untilMirrored(machine, files, how.signal)
    await mustBeQuiet(machine)
    await writeStateFile(directory.spec, { ...input, power: "paused" })
    // What an emulated processor writes while its memory goes is not always sent again (ADR 39).
    const halted = power === "paused" || (await usesKvm(qmp)) ? null : await halt(qmp)
    const { mostBytesPerSecond, downtimeMs } = how
    await startMigration(qmp, `unix:${liveSocket(directory.live, memoryStream)}`, {
      ...{ pausesBeforeSwitchover: true, slowsGuest: true, downtimeMs },
      ...(mostBytesPerSecond === undefined ? {} : { mostBytesPerSecond }),
    })
    await untilStatus(machine, "pre-switchover", how.timeoutMs, how.signal)
    // The other side opens the disks when it has the rest.
    await Promise.all(files.map((file) => endMirrorOf(qmp, file)))
    await continueMigration(qmp)
    const end = await untilStatus(machine, "completed", switchTimeoutMs, how.signal)
    await untilSent(streamOf(streams, memoryStream), switchTimeoutMs)
    return figuresOf(end, halted)
  } catch (error) {
    // Nobody can have said meanwhile that the other side goes on: whoever would has this as its answer.
    await endLive(machine).catch(() => {})
    throw error
  } finally {
    offers.dispose()
    await removeLiveDirectory(directory.live)
  }
}

/** Of an overlay what is in it alone: the image below it is there. */
async function mirror(qmp: QmpConnection, { names, backing }: DiskFile, path: string): Promise<void> {
  const target = `${prefix}${names.node}`
  await addBlockdev(qmp, {
    ...{ driver: "nbd", "node-name": target, export: names.node },
    server: { type: "unix", path },
  })
  const sync = backing ? "top" : "full"
  await startMirror(qmp, { "job-id": target, device: names.node, target, sync })
}

async function untilMirrored(
  machine: QemuMachine,
  files: readonly DiskFile[],
  signal: AbortSignal,
): Promise<void> {
  const wanted = files.map(({ names }) => `${prefix}${names.node}`)
  const look = async () => {
    if (!machine.isAlive) return "the machine ended"
    const jobs = await queryBlockJobs(await machine.qmp("migrate"))
    const found = wanted.map((id) => jobs.find(({ device }) => device === id))
    const broken = found.find((job) => !job || job.error !== undefined || job.status === "concluded")
    if (broken || found.includes(undefined)) return `a disk is copied no more: ${broken?.error ?? ""}`
    return found.every((job) => job?.ready === true) && "all"
  }
  const seen = await eventually("the disks to be copied", look, {
    ...{ timeoutMs: Number.MAX_SAFE_INTEGER, intervalMs: diskPollMs, signal },
  })
  if (seen !== "all") throw agentLiveBroken(machine.serverId, seen)
}

/** QEMU dies when something still works on a disk that it lets go of. Nothing new begins: the machine's queue is held. */
async function mustBeQuiet(machine: QemuMachine): Promise<void> {
  const jobs = await queryBlockJobs(await machine.qmp("migrate"))
  const other = jobs.find(({ device }) => !device.startsWith(prefix))
  if (other) throw agentLiveBroken(machine.serverId, `a disk of it is being copied (${other.device})`)
}

/** Of a job that is ready this is its end; it writes and flushes what is left. */
async function endMirrorOf(qmp: QmpConnection, { names }: DiskFile): Promise<void> {
  const id = `${prefix}${names.node}`
  await cancelBlockJob(qmp, id)
  const job = await eventuallyInQemu("a mirror to end", () => endedJob(qmp, id), {
    ...{ timeoutMs: switchTimeoutMs, intervalMs: pollMs },
  })
  await dismissJob(qmp, id)
  if (job.error !== undefined) throw new Error(`disk ${names.node} could not be copied: ${job.error}`)
  await deleteBlockdev(qmp, id)
}

async function endedJob(qmp: QmpConnection, id: string) {
  const job = await findJob(qmp, id)
  return job?.status === "concluded" && job
}

const over: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"])

async function untilStatus(
  machine: QemuMachine,
  wanted: NonNullable<Migration["status"]>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Migration> {
  const look = async () => {
    if (!machine.isAlive) return { status: "failed", "error-desc": "the machine ended" } as Migration
    const now = await queryMigration(await machine.qmp("migrate"))
    const status = now.status ?? "none"
    return (status === wanted || over.has(status)) && now
  }
  const end = await eventually(`the migration to be ${wanted}`, look, {
    timeoutMs,
    intervalMs: pollMs,
    signal,
  })
  if (end.status === wanted) return end
  throw agentLiveBroken(machine.serverId, end["error-desc"] ?? `QEMU says: ${end.status}`)
}

/** Returns since when, in monotonic milliseconds. */
async function halt(qmp: QmpConnection): Promise<number> {
  const since = performance.now()
  await stopGuest(qmp)
  return since
}

function figuresOf(end: Migration, halted: number | null): LiveFigures {
  return {
    downtimeMs: halted === null ? (end.downtime ?? 0) : Math.round(performance.now() - halted),
    totalMs: end["total-time"] ?? 0,
    memoryBytes: end.ram?.transferred ?? 0,
  }
}

/** Whatever is on its way is given up; the guest is as it was then, or halted. */
export async function endLive(machine: QemuMachine): Promise<void> {
  if (!machine.isAlive) return
  const qmp = await machine.qmp("end the migration of")
  // One that comes is no business of whoever sends.
  if ((await queryStatus(qmp)).status === "inmigrate") return
  const { status = "none" } = await queryMigration(qmp)
  if (status !== "none" && !over.has(status)) {
    await cancelMigration(qmp)
    const isOver = async () => over.has((await queryMigration(qmp)).status ?? "")
    await eventuallyInQemu("the migration to end", isOver, { timeoutMs: cancelTimeoutMs, intervalMs: pollMs })
  }
  await dropMirrors(qmp)
}

/** Also those of an agent that was killed. */
async function dropMirrors(qmp: QmpConnection): Promise<void> {
  for (const { id } of await queryJobs(qmp)) if (id.startsWith(prefix)) await dropJob(qmp, id)
  for (const { "node-name": node } of await queryBlockNodes(qmp)) {
    if (node.startsWith(prefix)) await ignoreQmpError(deleteBlockdev(qmp, node))
  }
}

/** Null: nothing is on its way. */
export async function progressOf(machine: QemuMachine): Promise<LiveProgress | null> {
  if (!machine.isAlive) return null
  const qmp = await machine.qmp("look at the migration of")
  const jobs = (await queryBlockJobs(qmp)).filter(({ device }) => device.startsWith(prefix))
  const { status = "none", ram } = await queryMigration(qmp)
  const isOnItsWay = status !== "none" && !over.has(status)
  if (jobs.length === 0 && !isOnItsWay) return null
  const sum = (of: (job: (typeof jobs)[number]) => number) => jobs.reduce((all, job) => all + of(job), 0)
  const [diskTotal, diskDone] = [sum(({ len }) => len), sum(({ offset }) => offset)]
  const memory = isOnItsWay ? ram : undefined
  return {
    disk: { totalBytes: diskTotal, processedBytes: diskDone, remainingBytes: diskTotal - diskDone },
    memory: {
      totalBytes: memory?.total ?? 0,
      processedBytes: memory?.transferred ?? 0,
      remainingBytes: memory?.remaining ?? 0,
    },
  }
}

/** The guest is halted: what it has can then be sent faster than it changes. */
export async function hurryLive(machine: QemuMachine): Promise<void> {
  await stopGuest(await machine.qmp("halt"))
}
