// A suspended machine is a file with the guest's memory and the command line that takes it up; there is no process.
// While the file `memory` is there the guest has run no further than it says: it is put in place after the guest was
// halted, and removed before the guest goes on. So a process beside it can be ended at any time, and a crash at any
// moment leaves either the running guest or the whole suspended one.
import { chmodSync, chownSync, createWriteStream } from "node:fs"
import { mkdir, rename, rm } from "node:fs/promises"
import { createServer, type Socket } from "node:net"
import { dirname } from "node:path"
import { pipeline } from "node:stream/promises"
import { eventually } from "../../../platform/clock/clock.ts"
import { describeError } from "../../../platform/fault/fault.ts"
import { agentSuspendFailed } from "../../faults.ts"
import {
  cancelMigration,
  eventuallyInQemu,
  type Qmp,
  queryMachineType,
  queryMigration,
  queryPci,
  startMigration,
} from "../../qmp/index.ts"
import { readStateFile, syncDirectory, writeStateFile } from "../../state-file.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { vifDevice } from "./devices.ts"
import type { QemuMachine } from "./machine.ts"
import { hasSavedMemory, type RunDirectory } from "./run-directory.ts"
import { placesOf, savedLine, volumesOf } from "./saved-line.ts"

/** A large guest on a slow disk. */
const saveTimeoutMs = 600_000
const pollMs = 20

export interface SavedMachine {
  args: readonly string[]
}

/** The command line that the memory belongs to; null when nothing is saved. */
export function readSavedLine(directory: RunDirectory): readonly string[] | null {
  if (!hasSavedMemory(directory)) return null
  // Written by `saveMemory`, before the memory was put in place.
  return (readStateFile(directory.savedLine) as SavedMachine).args
}

/** Halts the guest and writes what it is; the process is then of no more use. On a failure the guest goes on. */
export async function saveMemory(
  machine: QemuMachine,
  input: EnsureInput,
  runAs: { uid: number; gid: number } | null,
): Promise<void> {
  const { directory } = machine
  const qmp = await machine.qmp("suspend")
  const args = savedLine({
    args: startedLineOf(machine),
    places: placesOf(await queryPci(qmp)),
    vifDevices: input.vifs.map((vif) => vifDevice(input.spec, vif)),
    volumes: volumesOf(directory, input),
    machineType: await machineTypeOf(qmp),
  })
  await writeStateFile(directory.savedLine, { args } satisfies SavedMachine)
  await machine.pause()
  const part = `${directory.memory}.part`
  try {
    await transfer(machine, qmp, directory.transferSocket, part, runAs)
    await rename(part, directory.memory)
    await syncDirectory(directory.root)
  } catch (error) {
    await dropSavedMemory(directory)
    await letGoOn(machine)
    throw Object.assign(agentSuspendFailed(machine.serverId, describeError(error)), { cause: error })
  } finally {
    await rm(part, { force: true })
    await rm(dirname(directory.transferSocket), { recursive: true, force: true })
  }
}

/** A guest that was halted by us, perhaps for a save that did not come to its end. */
export async function letGoOn(machine: QemuMachine): Promise<void> {
  if (!machine.isAlive) return
  const qmp = await machine.qmp("continue")
  await cancelMigration(qmp)
  const isOver = async () => (await queryMigration(qmp)).status !== "cancelling"
  await eventuallyInQemu("the save to be over", isOver, { timeoutMs: 10_000 })
  await machine.resume()
}

/** Before the guest goes on, and when it never shall. */
export async function dropSavedMemory(directory: RunDirectory): Promise<void> {
  if (!hasSavedMemory(directory)) return
  await rm(directory.memory)
  // A loss of power must not bring it back beside disks that have changed since.
  await syncDirectory(directory.root)
  await rm(directory.savedLine, { force: true })
}

/** QEMU sends to a socket: having given up root it can open no file of ours. */
async function transfer(
  machine: QemuMachine,
  qmp: Qmp,
  socketPath: string,
  file: string,
  runAs: { uid: number; gid: number } | null,
): Promise<void> {
  await mkdir(dirname(socketPath), { recursive: true, mode: 0o711 })
  await rm(socketPath, { force: true })
  const received = Promise.withResolvers<void>()
  const server = createServer((socket: Socket) => {
    const sink = createWriteStream(file, { mode: 0o600, flush: true })
    pipeline(socket, sink).then(received.resolve, received.reject)
  })
  try {
    await new Promise<void>((done, fail) => server.once("error", fail).listen(socketPath, done))
    if (runAs) chownSync(socketPath, runAs.uid, runAs.gid)
    chmodSync(socketPath, 0o600)
    await startMigration(qmp, `unix:${socketPath}`)
    const sent = migrationEnd(machine, qmp)
    // A full disk is known here first, a QEMU that never connects there.
    sent.catch(received.reject)
    await received.promise
    await sent
  } finally {
    server.close()
  }
}

const isOver: ReadonlySet<string | undefined> = new Set(["completed", "failed", "cancelled"])

async function migrationEnd(machine: QemuMachine, qmp: Qmp): Promise<void> {
  const end = await eventually(
    "the memory to be written",
    async () => {
      if (!machine.isAlive) return { status: "failed" as const, "error-desc": "QEMU ended" }
      const now = await queryMigration(qmp)
      return isOver.has(now.status) ? now : false
    },
    { timeoutMs: saveTimeoutMs, intervalMs: pollMs },
  )
  if (end.status !== "completed") throw new Error(end["error-desc"] ?? `QEMU says: ${end.status}`)
}

/**
 * Not read from the process: who has broken out of it has written there what it likes, and the next one is begun as
 * root.
 */
function startedLineOf({ directory, serverId }: QemuMachine): readonly string[] {
  const started = readStateFile(directory.startedLine) as SavedMachine | undefined
  if (started) return started.args
  throw agentSuspendFailed(serverId, "it is not known how it was started; a hard reboot helps")
}

/** QEMU's own word, which becomes a part of the command line. */
async function machineTypeOf(qmp: Qmp): Promise<string> {
  const type = await queryMachineType(qmp)
  if (/^pc-(i440fx|q35)-[\w.-]{1,40}$/.test(type)) return type
  throw new Error("QEMU does not say what machine it is")
}
