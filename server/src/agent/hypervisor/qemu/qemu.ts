// The QEMU driver. A machine is a QEMU process of its own in a session of its own; everything about it lies in its
// run directory, so any later agent finds it, living or dead.
import { rmSync } from "node:fs"
import { statfs } from "node:fs/promises"
import type { Socket } from "node:net"
import { isDiskFull } from "../../../platform/exec/disk-full.ts"
import { identifyProcess } from "../../../platform/exec/process.ts"
import { EventHub } from "../../event-queue.ts"
import { agentDiskMissing, agentMachineNotFound, agentMachineStateWrong } from "../../faults.ts"
import type {
  ConsoleKind,
  DiskSpec,
  LiveFigures,
  LiveProgress,
  MachineLayout,
  VmDiagnostics,
  VmState,
} from "../../protocol.ts"
import { injectNmi, queryStatus } from "../../qmp/index.ts"
import { readStateFile, writeStateFile } from "../../state-file.ts"
import type { VolumeKeys } from "../../volumes/volume-keys.ts"
import type {
  Commit,
  EnsureInput,
  HotplugsVifs,
  Hypervisor,
  HypervisorDescription,
  LiveStreams,
  LocalImage,
  LocalVolume,
  MigratesLive,
  MovesVolumes,
  OffersConsoles,
  PluggedVif,
  PlugsVolumes,
  ReachesGuests,
  ReceivesDisks,
  RunningCopy,
  RunningMirror,
  SendLiveHow,
  Suspends,
  TakesSnapshots,
  VmEvent,
  VmHandle,
  VolumePlaces,
  WantedCopy,
  WantedMirror,
} from "../hypervisor.ts"
import type { MachineOptions } from "./command-line.ts"
import { makeConfigDrive } from "./config-drive.ts"
import { connectConsole } from "./console.ts"
import { boundConsoleLog, readConsoleLog } from "./console-log.ts"
import { copyVolumes, endCopies } from "./copy-volume.ts"
import { findCpuGroups } from "./cpu-groups.ts"
import { describeHost } from "./describe.ts"
import { diagnose } from "./diagnostics.ts"
import { diskFiles, ensureDisks, replaceDisk } from "./disks.ts"
import { findFirmware } from "./firmware.ts"
import { setGuestPassword } from "./guest-agent.ts"
import { driverName, handleOf, type StoredHandle } from "./handle.ts"
import { hotplugVif, hotunplugVif } from "./hotplug.ts"
import { findByPidFile, readSpec } from "./left-behind.ts"
import { receiveLive } from "./live-receive.ts"
import { endLive, hurryLive, layoutOf, progressOf, sendLive } from "./live-send.ts"
import { liveStreamsOf, removeLiveDirectory } from "./live-streams.ts"
import { QemuMachine } from "./machine.ts"
import { endMirror, mirrorVolume, switchVolume } from "./mirror-volume.ts"
import type { QemuOptions } from "./options.ts"
import { powerOff } from "./power-off.ts"
import { userOf } from "./reach.ts"
import {
  hasSavedMemory,
  makeRunDirectory,
  type RunDirectory,
  removeRunDirectory,
  removeSockets,
  runDirectory,
} from "./run-directory.ts"
import { snapshotDisk } from "./snapshot.ts"
import { type StartHow, startMachine } from "./start.ts"
import { steer } from "./steer.ts"
import { dropSavedMemory, letGoOn, saveMemory } from "./suspend.ts"
import { endTpm, restoreTpm, saveTpm } from "./tpm.ts"
import { type TuneHow, tuneAgain } from "./tune.ts"
import { growVolume, keepingVolumes, type Opening, plugVolume, unplugVolume } from "./volumes.ts"

/** The second look for deaths, which the closed connection tells at once. */
const watchIntervalMs = 500
const eventLimit = 4_096
/** Translated code of one tcg machine. QEMU's own bound is 1 GiB; booting is as fast with 32 MiB (measured). */
const defaultTcgCacheMib = 128

const haltedByAgent: ReadonlySet<string> = new Set(["prelaunch", "paused", "finish-migrate", "postmigrate"])

export type { QemuOptions } from "./options.ts"

export class QemuHypervisor
  implements
    Hypervisor,
    HotplugsVifs,
    PlugsVolumes,
    MovesVolumes,
    TakesSnapshots,
    ReceivesDisks,
    MigratesLive,
    Suspends,
    OffersConsoles,
    ReachesGuests
{
  readonly name = driverName
  readonly #options: QemuOptions
  readonly #machineOptions: MachineOptions
  readonly #machines = new Map<string, Promise<QemuMachine>>()
  readonly #events = new EventHub<VmEvent>(eventLimit)
  readonly #stop = new AbortController()
  readonly #watching: Promise<void>
  readonly #tuning: Omit<TuneHow, "vmsDir">

  constructor(options: QemuOptions) {
    this.#options = options
    this.#machineOptions = {
      accelerator: options.accelerator,
      runAs: options.runAs ?? null,
      tcgCacheMib: options.tcgCacheMib ?? defaultTcgCacheMib,
      hasTapOffload: options.hasTapOffload ?? false,
      firmware: options.firmware === undefined ? findFirmware() : options.firmware,
    }
    const { cpus = { dedicated: [], shared: [] }, cpuGroups = findCpuGroups() } = options
    this.#tuning = { cpus, groups: cpuGroups }
    this.#watching = this.#watch()
  }

  async describe(): Promise<HypervisorDescription> {
    return await describeHost(this.#options, { ...this.#tuning, firmware: this.#machineOptions.firmware })
  }

  async ensure(input: EnsureInput, _prior: VmHandle | null, keys?: VolumeKeys): Promise<VmHandle> {
    const { serverId } = input.spec
    const directory = this.#directory(serverId)
    await makeRunDirectory(directory)
    const machine = await this.#machine(serverId)
    if (!machine.isAlive && input.power === "shutdown") await this.#forget(machine)
    // A suspended guest has its disks open, as they are.
    if (!machine.isAlive && !hasSavedMemory(directory)) {
      await ensureDisks(directory, input, readSpec(directory))
      if (input.spec.configDrive) await makeConfigDrive(directory, input.spec.configDrive)
    }
    const kept = machine.isAlive ? keepingVolumes(input, readSpec(directory)) : input
    await writeStateFile(directory.spec, kept)
    const handle = handleOf(directory, serverId, machine.identity)
    if (!machine.isAlive && input.power !== "shutdown") await this.#start(machine, input, keys)
    else if (!machine.isAlive) await writeStateFile(directory.handle, handle)
    else if (input.power === "shutdown") await machine.end("stopped by the host")
    else await steer(machine, input.power, kept)
    return handleOf(directory, serverId, machine.identity)
  }

  async recover(handle: VmHandle): Promise<VmState> {
    const machine = await this.#machine(handle.serverId)
    const spec = readSpec(machine.directory)
    if (!spec) return this.#absent()
    await Promise.all([endCopies(machine), endLive(machine)]).catch((error: unknown) => {
      // The next copy of the same name ends it.
      const { serverId } = machine
      this.#options.log.error({ serverId, err: error }, "what was being copied of a volume, or sent, goes on")
    })
    if (machine.isAlive) await tuneAgain(machine, spec, this.#startHow(undefined), this.#options.log)
    // The agent died between the start of QEMU and its `cont`, or while it held the guest for a snapshot or to suspend
    // it. A guest that QEMU itself paused (a failed disk) stays so.
    if (machine.isAlive && machine.state.power === "paused" && spec.power === "running") {
      const { status } = await queryStatus(await machine.qmp("continue"))
      if (haltedByAgent.has(status)) await letGoOn(machine)
    }
    return machine.state
  }

  async inspect(handle: VmHandle): Promise<VmState> {
    const machine = await this.#machine(handle.serverId)
    if (!readSpec(machine.directory)) return this.#absent()
    return await machine.refresh()
  }

  async setPower(
    handle: VmHandle,
    to: "running" | "paused" | "shutdown",
    how: { graceMs: number },
  ): Promise<VmState> {
    const { machine, spec } = await this.#existing(handle)
    if (to === "paused" && !machine.isAlive) throw agentMachineStateWrong("pause", machine.state.power)
    try {
      await writeStateFile(machine.directory.spec, { ...spec, power: to })
    } catch (error) {
      // A full disk must not keep a guest from its orderly end; the wish is in the agent's own record as well.
      if (to !== "shutdown" || !isDiskFull(error)) throw error
    }
    if (to === "shutdown") {
      await powerOff(machine, how.graceMs)
      await this.#forget(machine)
    } else if (machine.isAlive) await steer(machine, to, spec)
    else await this.#start(machine, { ...spec, power: to })
    return machine.state
  }

  async reboot(handle: VmHandle, how: { hard: boolean; graceMs: number }): Promise<VmState> {
    const { machine, spec } = await this.#existing(handle)
    if (machine.isAlive) await powerOff(machine, how.hard ? 0 : how.graceMs)
    await this.#forget(machine)
    const wanted: EnsureInput = { ...spec, power: "running" }
    await writeStateFile(machine.directory.spec, wanted)
    await this.#start(machine, wanted)
    return machine.state
  }

  async suspend(handle: VmHandle): Promise<VmState> {
    const { machine, spec } = await this.#existing(handle)
    if (machine.state.power === "suspended") return machine.state
    if (machine.state.power !== "running") throw agentMachineStateWrong("suspend", machine.state.power)
    await saveMemory(machine, spec, this.#userOf(machine))
    await machine.end("suspended")
    return machine.state
  }

  async letGo(handle: VmHandle, how: { graceMs: number }): Promise<void> {
    const machine = await this.#machine(handle.serverId)
    if (machine.isAlive) await powerOff(machine, how.graceMs)
    await machine.release()
    this.#machines.delete(handle.serverId)
    removeSockets(machine.directory)
  }

  async destroy(handle: VmHandle): Promise<void> {
    const machine = await this.#machine(handle.serverId)
    await machine.end("destroyed")
    await machine.release()
    this.#machines.delete(handle.serverId)
    await removeLiveDirectory(machine.directory.live)
    removeRunDirectory(machine.directory)
  }

  async consoleLog(handle: VmHandle, lines: number | null): Promise<string> {
    return await readConsoleLog(this.#directory(handle.serverId), lines)
  }

  async diagnostics(handle: VmHandle): Promise<VmDiagnostics> {
    const { machine, spec } = await this.#existing(handle)
    return await diagnose(machine, spec)
  }

  events(signal: AbortSignal): AsyncIterable<VmEvent> {
    return this.#events.subscribe(signal)
  }

  async plugVif(handle: VmHandle, vif: PluggedVif): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    if (machine.isAlive) await hotplugVif(machine, spec, vif, this.#machineOptions.hasTapOffload)
    const vifs = [...spec.vifs.filter((v) => v.portId !== vif.portId), vif]
    await writeStateFile(machine.directory.spec, { ...spec, vifs })
  }

  async unplugVif(handle: VmHandle, portId: string): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    if (machine.isAlive) await hotunplugVif(machine, portId)
    const vifs = spec.vifs.filter((v) => v.portId !== portId)
    await writeStateFile(machine.directory.spec, { ...spec, vifs })
  }

  async plugVolume(handle: VmHandle, disk: DiskSpec, volume: LocalVolume, keys?: VolumeKeys): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    await plugVolume(machine, spec, disk, volume, this.#opening(machine, keys))
  }

  async unplugVolume(handle: VmHandle, volumeId: string): Promise<void> {
    const machine = await this.#machine(handle.serverId)
    const spec = readSpec(machine.directory)
    // One that was never made has nothing open.
    if (spec) await unplugVolume(machine, spec, volumeId)
  }

  async growVolume(handle: VmHandle, volumeId: string, sizeBytes: number): Promise<void> {
    const machine = await this.#machine(handle.serverId)
    const spec = readSpec(machine.directory)
    if (spec) await growVolume(machine, spec, volumeId, sizeBytes)
  }

  async copyVolumes(handle: VmHandle, copies: readonly WantedCopy[]): Promise<RunningCopy[]> {
    const machine = await this.#machine(handle.serverId)
    return await copyVolumes(machine, copies, this.#userOf(machine))
  }

  async mirrorVolume(handle: VmHandle, mirror: WantedMirror): Promise<RunningMirror | null> {
    const machine = await this.#machine(handle.serverId)
    return await mirrorVolume(machine, mirror, this.#userOf(machine))
  }

  async switchVolume(handle: VmHandle, disk: DiskSpec, to: LocalVolume, commit: Commit): Promise<void> {
    await switchVolume((await this.#existing(handle)).machine, disk, to, commit)
  }

  async endMirror(handle: VmHandle, disk: DiskSpec, places: VolumePlaces): Promise<string | null> {
    return await endMirror(await this.#machine(handle.serverId), disk, places)
  }

  async snapshot(handle: VmHandle, disk: string, toPath: string): Promise<{ sizeBytes: number }> {
    const { machine, spec } = await this.#existing(handle)
    const files = diskFiles(machine.directory, spec)
    return await snapshotDisk(machine, disk, toPath, { spec: spec.spec, files, runAs: this.#userOf(machine) })
  }

  async receiveDisk(handle: VmHandle, disk: string, image: LocalImage): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    const file = diskFiles(machine.directory, spec).find((one) => one.disk.name === disk)
    if (!file) throw agentDiskMissing(handle.serverId, disk)
    if (machine.isAlive) throw agentMachineStateWrong("receive a disk of", machine.state.power)
    await replaceDisk(file, spec, image)
  }

  async sendTpm(handle: VmHandle, toPath: string): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    await saveTpm(machine.directory, spec.spec, toPath)
  }

  async receiveTpm(handle: VmHandle, path: string): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    await restoreTpm(machine, spec.spec, path)
  }

  async layoutOf(handle: VmHandle): Promise<MachineLayout> {
    const { machine, spec: input } = await this.#existing(handle)
    const { properties, hardware } = input.spec
    return { ...(await layoutOf(machine)), made: { properties, ...(hardware && { hardware }) } }
  }

  async liveStreams(handle: VmHandle): Promise<string[]> {
    const { machine, spec } = await this.#existing(handle)
    return liveStreamsOf(machine.directory, spec)
  }

  async sendLive(handle: VmHandle, streams: LiveStreams, how: SendLiveHow): Promise<LiveFigures> {
    const { machine, spec } = await this.#existing(handle)
    return await sendLive(machine, spec, { streams, how, runAs: this.#userOf(machine) })
  }

  async receiveLive(
    input: EnsureInput,
    layout: MachineLayout,
    streams: LiveStreams,
    signal: AbortSignal,
    keys?: VolumeKeys,
  ): Promise<VmHandle> {
    const machine = await this.#machine(input.spec.serverId)
    await receiveLive(machine, input, { layout, streams, signal, start: this.#startHow(keys) })
    return handleOf(machine.directory, machine.serverId, machine.identity)
  }

  async endLive(handle: VmHandle): Promise<void> {
    await endLive((await this.#existing(handle)).machine)
  }

  async liveProgress(handle: VmHandle): Promise<LiveProgress | null> {
    return await progressOf((await this.#existing(handle)).machine)
  }

  async hurryLive(handle: VmHandle): Promise<void> {
    await hurryLive((await this.#existing(handle)).machine)
  }

  async openConsole(handle: VmHandle, kind: ConsoleKind): Promise<Socket> {
    return await connectConsole(this.#directory(handle.serverId), kind)
  }

  async injectNmi(handle: VmHandle): Promise<void> {
    await injectNmi(await (await this.#machine(handle.serverId)).qmp("interrupt"))
  }

  async setPassword(handle: VmHandle, user: string, password: string): Promise<void> {
    const { machine, spec } = await this.#existing(handle)
    if (!machine.isAlive) throw agentMachineStateWrong("reach the guest of", machine.state.power)
    await setGuestPassword(machine.directory, spec.spec, { user, password })
  }

  /** -1 when it does not run. */
  async processId(handle: VmHandle): Promise<number> {
    return (await this.#machine(handle.serverId)).identity?.pid ?? -1
  }

  /** Leaves every machine as it is. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#watching
    for (const machine of this.#machines.values()) await (await machine).release()
    this.#events.end()
  }

  async #start(machine: QemuMachine, input: EnsureInput, keys?: VolumeKeys): Promise<void> {
    await startMachine(machine, input, this.#startHow(keys))
  }

  #startHow(keys: VolumeKeys | undefined): StartHow {
    const { vmsDir, clock, commandPrefix } = this.#options
    const how = { vmsDir, clock, keys, prefix: commandPrefix?.() ?? [], options: this.#machineOptions }
    return { ...how, ...this.#tuning }
  }

  #opening(machine: QemuMachine, keys: VolumeKeys | undefined): Opening {
    return { runAs: this.#userOf(machine), keys }
  }

  #userOf(machine: QemuMachine): MachineOptions["runAs"] {
    const { runAs } = this.#machineOptions
    return runAs && (userOf(machine) ?? runAs)
  }

  async #forget(machine: QemuMachine): Promise<void> {
    if (machine.isAlive || !hasSavedMemory(machine.directory)) return
    await dropSavedMemory(machine.directory)
    machine.rest()
  }

  async #existing(handle: VmHandle): Promise<{ machine: QemuMachine; spec: EnsureInput }> {
    const machine = await this.#machine(handle.serverId)
    const spec = readSpec(machine.directory)
    if (!spec) throw agentMachineNotFound(handle.serverId)
    return { machine, spec }
  }

  /** Known machines as they are; others are looked up on the host once. */
  async #machine(serverId: string): Promise<QemuMachine> {
    let machine = this.#machines.get(serverId)
    if (!machine) {
      machine = this.#findMachine(serverId)
      this.#machines.set(serverId, machine)
    }
    return await machine
  }

  async #findMachine(serverId: string): Promise<QemuMachine> {
    const directory = this.#directory(serverId)
    const { clock, log, unplugTimeoutMs } = this.#options
    const machine = new QemuMachine(serverId, directory, {
      clock,
      log,
      ...(unplugTimeoutMs !== undefined && { unplugTimeoutMs }),
      onChange: (id, state) => this.#events.publish({ serverId: id, state }),
      onEnd: (id) => this.#tuning.groups.remove(id),
    })
    const stored = readStateFile(directory.handle) as StoredHandle | undefined
    const identity = stored?.process ?? null
    // The pid file covers an agent that died right after the start, before it could write the handle.
    const living = identity && identifyProcess(identity.pid)?.startTicks === identity.startTicks
    const found = living ? identity : findByPidFile(directory)
    // Of an agent that died while it started one.
    rmSync(directory.keys, { recursive: true, force: true })
    if (found) await machine.adopt(found)
    else {
      this.#tuning.groups.remove(serverId)
      await endTpm(directory)
    }
    // The end of a suspend or the beginning of a resume was not seen; the guest has not run since.
    if (machine.isAlive && hasSavedMemory(directory)) await machine.end("suspended")
    return machine
  }

  #directory(serverId: string): RunDirectory {
    return runDirectory(this.#options.vmsDir, serverId)
  }

  #absent(): VmState {
    return { power: "absent", since: this.#options.clock.now().toISOString() }
  }

  async #resumeWithRoom(machine: QemuMachine): Promise<void> {
    const { bavail, bsize } = await statfs(machine.directory.root)
    if (bavail * bsize < roomToResumeBytes || readSpec(machine.directory)?.power !== "running") return
    this.#options.log.info(
      { serverId: machine.serverId },
      "there is room on the disk again: the guest goes on",
    )
    await machine.resume()
  }

  async #watch(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      for (const pending of [...this.#machines.values()]) {
        const machine = await pending
        try {
          await machine.check()
          if (machine.isAlive) await boundConsoleLog(machine.directory)
          if (machine.isAlive && machine.isPausedByDisk) await this.#resumeWithRoom(machine)
        } catch (error) {
          this.#options.log.warn({ serverId: machine.serverId, err: error }, "watching a machine failed")
        }
      }
      await this.#options.clock.sleep(watchIntervalMs, signal).catch(() => {})
    }
  }
}

/** Enough that a guest does not fill it again at once. */
const roomToResumeBytes = 64 * 1024 * 1024
