// The start of a machine's process: from its spec, or from the memory that was saved of it.
import { closeSync, existsSync, openSync } from "node:fs"
import { copyFile } from "node:fs/promises"
import type { Clock } from "../../../platform/clock/clock.ts"
import { endProcess, type ProcessIdentity } from "../../../platform/exec/process.ts"
import { agentLiveBroken, agentStartFailed } from "../../faults.ts"
import type { MachineLayout } from "../../protocol.ts"
import { writeStateFile } from "../../state-file.ts"
import type { VolumeKeys } from "../../volumes/volume-keys.ts"
import type { EnsureInput } from "../hypervisor.ts"
import { commandLine, type MachineOptions } from "./command-line.ts"
import { vifDevice } from "./devices.ts"
import { checkDisks } from "./disks.ts"
import { firmwareOf } from "./firmware.ts"
import { handleOf } from "./handle.ts"
import { choosePages, readHostPages } from "./host-pages.ts"
import { hotplugVif } from "./hotplug.ts"
import { findByPidFile } from "./left-behind.ts"
import type { QemuMachine } from "./machine.ts"
import { withReach } from "./reach.ts"
import { makeRunDirectory, type RunDirectory, removeSockets } from "./run-directory.ts"
import { restoreLine, savedLine, savedVifIds, savedVolumeIds, volumesOf } from "./saved-line.ts"
import { dropSavedMemory, readSavedLine, type SavedMachine } from "./suspend.ts"
import { endTpm, startTpm } from "./tpm.ts"
import { type TuneHow, tuneMachine } from "./tune.ts"
import { withKeyFiles } from "./volume-keys.ts"
import { plugNewVolumes } from "./volumes.ts"

export interface StartHow extends TuneHow {
  clock: Clock
  /** What QEMU is started by, so that it sees the taps. */
  prefix: readonly string[]
  options: MachineOptions
  keys: VolumeKeys | undefined
}

type Launch = (args: readonly string[], inherit?: readonly number[]) => Promise<void>

const strayGraceMs = 3_000
const strayWaitMs = 2_000

/** None runs now. */
export async function startMachine(machine: QemuMachine, input: EnsureInput, how: StartHow): Promise<void> {
  const { directory } = machine
  const { hasTapOffload, runAs } = how.options
  await prepare(machine, input, how)
  const saved = readSavedLine(directory)
  const launch: Launch = (args, inherit = []) => launchOnce(machine, input, how, args, inherit)
  if (saved) await takeUp(machine, saved, input, { hasTapOffload, launch })
  else await launch(commandLine(directory, input, withPages(input, how.options)))
  if (input.power === "running") await machine.resume()
  else await machine.refresh()
  const had = saved && savedVifIds(saved)
  for (const vif of input.vifs) {
    if (had && !had.includes(vif.portId)) await hotplugVif(machine, input, vif, hasTapOffload)
  }
  if (saved) await plugNewVolumes(machine, input, savedVolumeIds(saved), { runAs, keys: how.keys })
}

/** Waits for a guest that runs elsewhere, on a machine that is laid out as it knows it. None runs now. */
export async function startIncoming(
  machine: QemuMachine,
  input: EnsureInput,
  layout: MachineLayout,
  how: StartHow,
): Promise<void> {
  const { directory } = machine
  await prepare(machine, input, how)
  const made = asMade(input, layout)
  const places = new Map(Object.entries(layout.places))
  const volumes = volumesOf(directory, input)
  const lost = volumes.find(({ device }) => !places.has(device.id))
  if (lost) throw agentLiveBroken(machine.serverId, `its guest has no ${lost.device.id} where it is`)
  const line = savedLine({
    args: commandLine(directory, made, withPages(made, how.options)),
    vifDevices: input.vifs.map((vif) => vifDevice(input.spec, vif)),
    ...{ places, volumes, machineType: layout.machineType },
  })
  const args = [...restoreLine(line, input.vifs, how.options.hasTapOffload), "-incoming", "defer"]
  await launchOnce(machine, input, how, args, [])
}

async function prepare(machine: QemuMachine, input: EnsureInput, { options }: StartHow): Promise<void> {
  const { directory } = machine
  await checkDisks(directory, input)
  // Of the last process there may still be a connection, which is not the new one's.
  await machine.refresh()
  removeSockets(directory)
  await makeRunDirectory(directory)
  const isUefi = input.spec.properties.hw_firmware_type === "uefi"
  const firmware = firmwareOf(input.spec, options.firmware)
  if (isUefi && firmware && !existsSync(directory.firmwareVariables))
    await copyFile(firmware.variables, directory.firmwareVariables)
}

/** What it has since been told to be it becomes at its next start. */
function asMade(input: EnsureInput, { made }: MachineLayout): EnsureInput {
  if (!made) return input
  const { hardware: _, ...spec } = input.spec
  return { ...input, spec: { ...spec, ...made } }
}

function withPages({ spec }: EnsureInput, options: MachineOptions) {
  return { ...options, pageKib: choosePages(spec, readHostPages()) }
}

/** The process is there and as it has to be, and its guest does not run yet. */
async function launchOnce(
  machine: QemuMachine,
  input: EnsureInput,
  how: StartHow,
  args: readonly string[],
  inherit: readonly number[],
): Promise<void> {
  await beginProcess(machine, input, how, args, inherit)
  try {
    await tuneMachine(machine, input, how)
  } catch (error) {
    await machine.end("it could not be given what it asks for")
    throw error
  }
}

async function beginProcess(
  machine: QemuMachine,
  input: EnsureInput,
  { vmsDir, clock, prefix, keys, options: { runAs } }: StartHow,
  args: readonly string[],
  inherit: readonly number[],
): Promise<void> {
  const { directory, serverId } = machine
  const keep = (identity: ProcessIdentity) =>
    writeStateFile(directory.handle, handleOf(directory, serverId, identity))
  await writeStateFile(directory.startedLine, { args } satisfies SavedMachine)
  const launch = () =>
    withKeyFiles(directory, input.spec.disks, keys, () =>
      withReach(vmsDir, inherit, (all) => machine.launch(prefix, args, keep, all)),
    )
  const begin = async () => {
    await startTpm(directory, input.spec, keys, runAs)
    try {
      await launch()
    } catch (error) {
      await endTpm(directory)
      throw error
    }
  }
  try {
    await begin()
  } catch (error) {
    // An agent that was killed had begun one an instant before, of which nobody has a handle.
    const other = String(error).includes("lock pid file") ? await begunByAnother(directory, clock) : null
    if (!other) throw error
    await endProcess(other, { graceMs: strayGraceMs })
    removeSockets(directory)
    await begin()
  }
}

/** Whoever holds the pid file writes its number into it at once. */
async function begunByAnother(directory: RunDirectory, clock: Clock): Promise<ProcessIdentity | null> {
  const end = clock.monotonicMs() + strayWaitMs
  for (;;) {
    const found = findByPidFile(directory)
    if (found || clock.monotonicMs() > end) return found
    await clock.sleep(20)
  }
}

/** The memory is forgotten once the guest is whole in its new process, and before it goes on. */
async function takeUp(
  machine: QemuMachine,
  saved: readonly string[],
  input: EnsureInput,
  { hasTapOffload, launch }: { hasTapOffload: boolean; launch: Launch },
): Promise<void> {
  const lost = savedVolumeIds(saved).find((volumeId) => !input.volumes?.[volumeId])
  if (lost !== undefined) {
    throw agentStartFailed(
      machine.serverId,
      `its guest was suspended with volume ${lost}, which it has no more`,
    )
  }
  const memory = openSync(machine.directory.memory, "r")
  try {
    await launch([...restoreLine(saved, input.vifs, hasTapOffload), "-incoming", "fd:3"], [memory])
  } finally {
    closeSync(memory)
  }
  await machine.arrive()
  await dropSavedMemory(machine.directory)
}
