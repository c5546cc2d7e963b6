// A guest arrives from another host while it runs there. Its disks are made as new ones are and written by the other
// side; its volumes are opened, and are another host's still; its memory follows. When all is there it is halted: it
// goes on when somebody says so, and has its volumes from then on.
import { rm } from "node:fs/promises"
import type { Duplex } from "node:stream"
import { joinStreams } from "../../../platform/streams/join.ts"
import { agentLiveBroken } from "../../faults.ts"
import type { DiskSpec, MachineLayout } from "../../protocol.ts"
import { exportBlock, receiveMigration, startNbdServer, stopNbdServer } from "../../qmp/index.ts"
import { writeStateFile } from "../../state-file.ts"
import { receiveFile } from "../../travelling-image.ts"
import type { EnsureInput, LiveStreams } from "../hypervisor.ts"
import { diskFiles, ensureDisks } from "./disks.ts"
import {
  configStream,
  goesAlong,
  letListen,
  liveSocket,
  makeLiveDirectory,
  memoryStream,
  openSocket,
  removeLiveDirectory,
  streamOf,
  untilReadable,
} from "./live-streams.ts"
import type { QemuMachine } from "./machine.ts"
import { makeRunDirectory } from "./run-directory.ts"
import { type StartHow, startIncoming } from "./start.ts"

const nbdSocket = "disks"
/** Of an ISO image with a few files of metadata. */
const configMostBytes = 256 * 1024 ** 2
const configIdleMs = 600_000

export async function receiveLive(
  machine: QemuMachine,
  input: EnsureInput,
  {
    layout,
    streams,
    signal,
    start,
  }: { layout: MachineLayout; streams: LiveStreams; signal: AbortSignal; start: StartHow },
): Promise<void> {
  const { directory, serverId } = machine
  // One that came before did not arrive.
  await machine.end("it is received anew")
  await makeRunDirectory(directory)
  // What is on them comes, so none is formatted.
  await ensureDisks(
    directory,
    { ...input, spec: { ...input.spec, disks: input.spec.disks.map(blank) } },
    null,
  )
  const config = streams[configStream]
  if (config) {
    await rm(directory.configDrive, { force: true })
    await receiveFile(config, directory.configDrive, {
      ...{ broken: (why) => agentLiveBroken(serverId, why), mostBytes: configMostBytes },
      ...{ idleMs: configIdleMs, signal },
    })
  }
  await writeStateFile(directory.spec, input)
  try {
    await startIncoming(machine, input, layout, start)
    await makeLiveDirectory(directory.live, start.options.runAs)
    const qmp = await machine.qmp("receive")
    const disks = diskFiles(directory, input).filter(goesAlong)
    const [nbd, memory] = [nbdSocket, memoryStream].map((name) => liveSocket(directory.live, name))
    if (nbd === undefined || memory === undefined) throw new Error("unreachable: both were named")
    const pid = machine.identity?.pid ?? -1
    const owner = start.options.runAs
    if (disks.length > 0) {
      await letListen(directory.live, { path: nbd, pid, owner }, () => startNbdServer(qmp, nbd, disks.length))
      // As many as it takes: when all are greeted, nobody else is there or gets in, and not before is there a disk.
      const opened: [Duplex, Duplex][] = []
      for (const { disk } of disks) opened.push([await openSocket(nbd), streamOf(streams, disk.name)])
      // The directory is QEMU's once more for its next socket: this one is not to be found there.
      await rm(nbd)
      for (const [socket] of opened) await untilReadable(socket, signal)
      for (const { names } of disks) await exportBlock(qmp, names.node)
      for (const [socket, stream] of opened) joinStreams(socket, stream)
    }
    const listen = () => receiveMigration(qmp, `unix:${memory}`)
    await letListen(directory.live, { path: memory, pid, owner }, listen)
    joinStreams(await openSocket(memory), streamOf(streams, memoryStream))
    await machine.arrive({ timeoutMs: Number.MAX_SAFE_INTEGER, signal })
    if (disks.length > 0) await stopNbdServer(qmp)
  } catch (error) {
    await machine.end("it did not arrive")
    throw error
  } finally {
    await removeLiveDirectory(directory.live)
  }
}

function blank(disk: DiskSpec): DiskSpec {
  return disk.source.kind === "blank" ? { ...disk, source: { kind: "blank", fsLabel: null } } : disk
}
