import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { ToldTime } from "../../../platform/clock/told-time.ts"
import { EventHub } from "../../event-queue.ts"
import {
  agentDiskMissing,
  agentDiskTooSmall,
  agentGuestKeepsDevice,
  agentMachineNotFound,
  agentMachineStateWrong,
  agentStartFailed,
  agentVolumeCopyBroken,
  agentVolumeOpenFailed,
} from "../../faults.ts"
import type {
  ConsoleKind,
  DiskSpec,
  MachineLayout,
  PowerState,
  VmDiagnostics,
  VmState,
} from "../../protocol.ts"
import { volumeDisks, withDisk, withoutVolume, withVolumesOf } from "../../volumes/volume-disks.ts"
import { readHostFacts } from "../host-facts.ts"
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
  WantedCopy,
  WantedMirror,
} from "../hypervisor.ts"
import "./config.ts" // declares the section where a program makes this
import { bootText, nmiText, passwordText, powerOffText, restartText } from "./console-text.ts"
import { watchControl } from "./control-file.ts"
import { emptyQcow2 } from "./empty-qcow2.ts"
import { FakeConsoles } from "./fake-consoles.ts"
import { fakeDiagnostics } from "./fake-diagnostics.ts"
import { FakeLive } from "./fake-live.ts"
import { type FakeMachine, isOn, lockedBy } from "./fake-machine.ts"
import { Journal } from "./journal.ts"
import { type FakeControl, type FakeOptions, fakeHardware, realisticMs } from "./options.ts"

const eventLimit = 4_096
const consolePiecesMost = 12
const driverName = "fake"

export class FakeHypervisor
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
  readonly #options: FakeOptions
  readonly #journal: Journal<FakeMachine>
  readonly #machines: Map<string, FakeMachine>
  readonly #events = new EventHub<VmEvent>(eventLimit)
  readonly #consoles = new FakeConsoles()
  readonly #live: FakeLive
  readonly #stop = new AbortController()
  readonly #watching: Promise<void>
  readonly #time: ToldTime
  #control: FakeControl
  #calls = new Map<string, number>()

  constructor(options: FakeOptions) {
    this.#options = options
    this.#control = options.control ?? {}
    this.#time = new ToldTime(options.clock)
    this.#journal = new Journal(join(options.dir, "journal.jsonl"))
    this.#machines = this.#journal.load()
    this.#live = new FakeLive({
      clock: options.clock,
      begin: (operation, { serverId }) => this.#step(operation, serverId),
      existing: (handle) => this.#existing(handle),
      turn: (machine, power) => {
        machine.state = this.#state(power)
        this.#keep(machine)
      },
      copying: (signal) => this.#copying(signal),
    })
    this.#watching = watchControl(options, this.#stop.signal, ({ losePower, ...control }) => {
      this.setControl(control)
      if (losePower) this.losePower(losePower === true ? undefined : losePower)
    })
  }

  /** Changes how it behaves from now on, how long what is under way takes as well; counts of `fail` start anew. */
  setControl(control: FakeControl): void {
    this.#control = { ...this.#control, ...control }
    this.#calls = new Map()
    this.#time.sayAnew()
  }

  /** How many operations and copies take their time at this moment. */
  get underWay(): number {
    return this.#time.passing
  }

  /** These machines (or all) stop at once, as when a plug is pulled. */
  losePower(serverIds?: readonly string[]): void {
    for (const machine of this.#machines.values()) {
      if (serverIds && !serverIds.includes(machine.serverId)) continue
      if (isOn(machine)) this.#end(machine, "crashed", "the power was lost")
    }
  }

  /** As if somebody had typed `poweroff` in the guest. */
  guestPowersOff(serverId: string): void {
    const machine = this.#existing({ serverId, driver: driverName })
    machine.console.push(powerOffText)
    this.#end(machine, "shutdown", "the guest powered off")
  }

  guestReboots(serverId: string): void {
    const machine = this.#existing({ serverId, driver: driverName })
    machine.console.push(restartText)
    this.#boot(machine)
    this.#keep(machine)
  }

  async describe(): Promise<HypervisorDescription> {
    const { dedicatedCpus = 0, ...capacity } = this.#options.capacity ?? {}
    return {
      host: this.#options.host,
      hypervisorType: "fake",
      hypervisorVersion: 1_000,
      hostIp: this.#options.hostIp,
      ...(await readHostFacts(this.#options.dir)),
      ...capacity,
      guestHardware: fakeHardware(dedicatedCpus),
      abilities: {
        liveMigration: true,
        pause: true,
        suspend: true,
        hotplugVif: true,
        snapshot: true,
        accelerator: "none",
      },
    }
  }

  async ensure(input: EnsureInput, _prior: VmHandle | null): Promise<VmHandle> {
    const { configDrive, ...spec } = input.spec
    const { serverId } = spec
    await this.#step("ensure", serverId)
    const known = this.#machines.get(serverId)
    const held = known?.state.power === "suspended" && input.power !== "shutdown" ? known.heldVolumes : []
    const lost = held?.find((volumeId) => !spec.disks.some(({ name }) => name === volumeId))
    if (lost !== undefined) {
      throw agentStartFailed(serverId, `its guest was suspended with volume ${lost}, which it has no more`)
    }
    const machine: FakeMachine = known ?? {
      serverId,
      state: this.#state("shutdown"),
      spec,
      hasConfigDrive: false,
      vifs: [],
      console: [],
      bootedAt: null,
    }
    machine.spec = known && isOn(known) ? withVolumesOf(spec, known.spec) : spec
    machine.hasConfigDrive = configDrive !== null
    machine.vifs = input.vifs
    this.#machines.set(serverId, machine)
    if (known?.state.power !== input.power) this.#turn(machine, input.power)
    this.#keep(machine)
    return { serverId, driver: driverName }
  }

  async recover(handle: VmHandle): Promise<VmState> {
    await this.#step("recover", handle.serverId)
    return this.#stateOf(handle)
  }

  async inspect(handle: VmHandle): Promise<VmState> {
    await this.#step("inspect", handle.serverId)
    return this.#stateOf(handle)
  }

  async setPower(handle: VmHandle, to: "running" | "paused" | "shutdown"): Promise<VmState> {
    await this.#step("setPower", handle.serverId)
    const machine = this.#existing(handle)
    if (to === "paused" && !isOn(machine)) throw agentMachineStateWrong("pause", machine.state.power)
    if (machine.state.power !== to) {
      this.#turn(machine, to)
      this.#keep(machine)
    }
    return machine.state
  }

  async suspend(handle: VmHandle): Promise<VmState> {
    await this.#step("suspend", handle.serverId)
    const machine = this.#existing(handle)
    const { power } = machine.state
    if (power !== "running" && power !== "suspended") throw agentMachineStateWrong("suspend", power)
    if (power === "running") {
      machine.state = this.#state("suspended")
      machine.heldVolumes = volumeDisks(machine.spec.disks).map(({ volumeId }) => volumeId)
      this.#keep(machine)
    }
    return machine.state
  }

  async reboot(handle: VmHandle, how: { hard: boolean }): Promise<VmState> {
    await this.#step("reboot", handle.serverId)
    const machine = this.#existing(handle)
    if (!how.hard && isOn(machine)) machine.console.push(restartText)
    this.#boot(machine)
    this.#keep(machine)
    return machine.state
  }

  async letGo(handle: VmHandle): Promise<void> {
    await this.#step("letGo", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    if (!machine || !isOn(machine)) return
    this.#turn(machine, "shutdown")
    this.#keep(machine)
  }

  async destroy(handle: VmHandle): Promise<void> {
    await this.#step("destroy", handle.serverId)
    this.#consoles.hangUp(handle.serverId)
    if (this.#machines.delete(handle.serverId)) this.#journal.write(handle.serverId, null)
  }

  async consoleLog(handle: VmHandle, lines: number | null): Promise<string> {
    await this.#step("consoleLog", handle.serverId)
    const text = this.#machines.get(handle.serverId)?.console.join("") ?? ""
    if (lines === null) return text
    return lines <= 0 ? "" : text.split("\n").slice(-lines).join("\n")
  }

  async diagnostics(handle: VmHandle): Promise<VmDiagnostics> {
    await this.#step("diagnostics", handle.serverId)
    const machine = this.#existing(handle)
    const upMs = this.#options.clock.now().getTime() - Date.parse(machine.bootedAt ?? "")
    return fakeDiagnostics(machine, upMs)
  }

  events(signal: AbortSignal): AsyncIterable<VmEvent> {
    return this.#events.subscribe(signal)
  }

  async plugVif(handle: VmHandle, vif: PluggedVif): Promise<void> {
    await this.#step("plugVif", handle.serverId)
    const machine = this.#existing(handle)
    machine.vifs = [...machine.vifs.filter((v) => v.portId !== vif.portId), vif]
    this.#keep(machine)
  }

  async unplugVif(handle: VmHandle, portId: string): Promise<void> {
    await this.#step("unplugVif", handle.serverId)
    const machine = this.#existing(handle)
    machine.vifs = machine.vifs.filter((vif) => vif.portId !== portId)
    this.#keep(machine)
  }

  async plugVolume(handle: VmHandle, disk: DiskSpec): Promise<void> {
    await this.#step("plugVolume", handle.serverId)
    const machine = this.#existing(handle)
    const other = isOn(machine) ? lockedBy(this.#machines, handle.serverId, [disk]) : undefined
    if (other) throw agentVolumeOpenFailed(disk.name, other)
    this.#setDisks(machine, (spec) => withDisk(spec, disk))
  }

  async unplugVolume(handle: VmHandle, volumeId: string): Promise<void> {
    await this.#step("unplugVolume", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    const hasIt = machine?.spec.disks.some(({ name }) => name === volumeId)
    if (!machine || !hasIt) return
    const { power } = machine.state
    if (power === "suspended" && machine.heldVolumes?.includes(volumeId)) {
      throw agentMachineStateWrong("take a volume from", power)
    }
    if (isOn(machine) && this.#control.guestsKeepVolumes) throw agentGuestKeepsDevice(handle.serverId)
    this.#setDisks(machine, (spec) => withoutVolume(spec, volumeId))
  }

  async growVolume(handle: VmHandle, volumeId: string, sizeBytes: number): Promise<void> {
    await this.#step("growVolume", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    const disk = machine?.spec.disks.find(({ name }) => name === volumeId)
    if (machine && disk) this.#setDisks(machine, (spec) => withDisk(spec, { ...disk, sizeBytes }))
  }

  async copyVolumes(handle: VmHandle, copies: readonly WantedCopy[]): Promise<RunningCopy[]> {
    await this.#step("copyVolumes", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    if (!machine || !isOn(machine)) return copies.map(({ copyStill }) => ({ end: copyStill }))
    return copies.map((copy) => this.#copyOf(handle, copy))
  }

  #copyOf(handle: VmHandle, { volumeId, copyImage, signal }: WantedCopy): RunningCopy {
    return {
      end: async () => {
        await this.#copying(signal)
        this.#mustBeOn(handle, volumeId)
        await copyImage()
      },
    }
  }

  async mirrorVolume(handle: VmHandle, { disk, signal }: WantedMirror): Promise<RunningMirror | null> {
    await this.#step("mirrorVolume", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    if (!machine || !isOn(machine)) return null
    return {
      end: async () => {
        await this.#copying(signal)
        this.#mustBeOn(handle, disk.name)
      },
    }
  }

  async switchVolume(handle: VmHandle, disk: DiskSpec, _to: LocalVolume, commit: Commit): Promise<void> {
    await this.#step("switchVolume", handle.serverId)
    this.#mustBeOn(handle, disk.name)
    await commit(true)
    this.#setDisks(this.#existing(handle), (spec) => withDisk(spec, disk))
  }

  async endMirror(handle: VmHandle, { name: volumeId }: DiskSpec): Promise<string | null> {
    await this.#step("endMirror", handle.serverId)
    const machine = this.#machines.get(handle.serverId)
    if (!machine || !isOn(machine)) return null
    return volumeDisks(machine.spec.disks).find((one) => one.volumeId === volumeId)?.backend ?? null
  }

  #mustBeOn(handle: VmHandle, volumeId: string): void {
    const { power } = this.#stateOf(handle)
    if (power === "running" || power === "paused") return
    throw agentVolumeCopyBroken(volumeId, `its machine is ${power}`)
  }

  #setDisks(machine: FakeMachine, change: <S extends FakeMachine["spec"]>(spec: S) => S): void {
    machine.spec = change(machine.spec)
    this.#keep(machine)
  }

  async snapshot(handle: VmHandle, disk: string, toPath: string): Promise<{ sizeBytes: number }> {
    await this.#step("snapshot", handle.serverId)
    const data = emptyQcow2(this.#diskOf(handle, disk).sizeBytes)
    await writeFile(toPath, data, { mode: 0o600 })
    return { sizeBytes: data.length }
  }

  async receiveDisk(handle: VmHandle, disk: string, image: LocalImage): Promise<void> {
    await this.#step("receiveDisk", handle.serverId)
    const { sizeBytes } = this.#diskOf(handle, disk)
    if (image.virtualSizeBytes > sizeBytes) throw agentDiskTooSmall(disk, sizeBytes, image.virtualSizeBytes)
  }

  #diskOf(handle: VmHandle, name: string): DiskSpec {
    const found = this.#existing(handle).spec.disks.find((disk) => disk.name === name)
    if (!found) throw agentDiskMissing(handle.serverId, name)
    return found
  }

  /** No guest has written anything into it. */
  sendTpm = (handle: VmHandle, path: string) =>
    this.#step("sendTpm", handle.serverId).then(() => writeFile(path, "", { mode: 0o600 }))
  receiveTpm = (handle: VmHandle) => this.#step("receiveTpm", handle.serverId)
  layoutOf = (handle: VmHandle) => this.#live.layoutOf(handle)
  liveStreams = (handle: VmHandle) => this.#live.streamsOf(handle)
  sendLive = (handle: VmHandle, streams: LiveStreams, how: SendLiveHow) =>
    this.#live.send(handle, streams, how)
  endLive = (handle: VmHandle) => this.#step("endLive", handle.serverId)
  liveProgress = (handle: VmHandle) => this.#live.progress(handle)
  hurryLive = (handle: VmHandle) => this.#live.hurry(handle)

  async receiveLive(input: EnsureInput, _layout: MachineLayout, streams: LiveStreams): Promise<VmHandle> {
    const handle = await this.ensure({ ...input, power: "shutdown" }, null)
    await this.#live.receive(handle, streams)
    return handle
  }

  async openConsole(handle: VmHandle, kind: ConsoleKind): Promise<Duplex> {
    await this.#step("openConsole", handle.serverId)
    return this.#consoles.open(handle.serverId, kind, this.#existing(handle).spec.name)
  }

  injectNmi = (handle: VmHandle) => this.#sayToGuest("injectNmi", handle, nmiText)
  setPassword = (handle: VmHandle, user: string) =>
    this.#sayToGuest("setPassword", handle, passwordText(user))

  async #sayToGuest(operation: string, handle: VmHandle, text: string): Promise<void> {
    await this.#step(operation, handle.serverId)
    const machine = this.#existing(handle)
    if (!isOn(machine)) throw agentMachineStateWrong("reach the guest of", machine.state.power)
    machine.console.push(text)
    this.#keep(machine)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    this.#consoles.hangUpAll()
    await this.#watching
    this.#events.end()
  }

  #copying(signal: AbortSignal): Promise<void> {
    return this.#time.pass(() => this.#control.copyMs ?? 0, signal)
  }

  /** The beginning of every operation: the delay, and the failure when its turn has come. */
  async #step(operation: string, serverId: string): Promise<void> {
    const { fail } = this.#control
    const paceMs = this.#options.pace === "realistic" ? (realisticMs[operation] ?? 0) : 0
    await this.#time.pass(() => this.#control.delayMs ?? paceMs)
    if (!fail || (fail.operation && fail.operation !== operation)) return
    const key = fail.operation ?? "any"
    const call = (this.#calls.get(key) ?? 0) + 1
    this.#calls.set(key, call)
    const isTurn = call >= fail.at && call < fail.at + (fail.times ?? 1)
    if (isTurn)
      throw agentStartFailed(serverId, `the fake hypervisor was told to fail at ${operation} ${call}`)
  }

  #turn(machine: FakeMachine, to: "running" | "paused" | "shutdown"): void {
    if (to === "shutdown") {
      if (isOn(machine)) machine.console.push(powerOffText)
      machine.state = this.#state("shutdown", "stopped by the host")
    } else if (isOn(machine) || machine.state.power === "suspended") machine.state = this.#state(to)
    else this.#boot(machine, to)
  }

  #boot(machine: FakeMachine, to: "running" | "paused" = "running"): void {
    const { spec, vifs, hasConfigDrive } = machine
    const why = lockedBy(this.#machines, machine.serverId, spec.disks)
    if (why !== undefined) throw agentStartFailed(machine.serverId, why)
    machine.state = this.#state(to)
    machine.bootedAt = machine.state.since
    const facts = {
      name: spec.name,
      instanceName: spec.instanceName,
      vcpus: spec.vcpus,
      ramMib: spec.ramMib,
      macAddresses: vifs.map((vif) => vif.macAddress),
      diskBytes: spec.disks.map((disk) => disk.sizeBytes),
      hasConfigDrive,
    }
    machine.console = [...machine.console, bootText(facts, machine.bootedAt)].slice(-consolePiecesMost)
  }

  #end(machine: FakeMachine, power: "shutdown" | "crashed", reason: string): void {
    machine.state = this.#state(power, reason)
    this.#keep(machine)
    this.#events.publish({ serverId: machine.serverId, state: machine.state })
  }

  #keep(machine: FakeMachine): void {
    if (!isOn(machine)) this.#consoles.hangUp(machine.serverId)
    this.#journal.write(machine.serverId, machine)
  }

  #stateOf(handle: VmHandle): VmState {
    return this.#machines.get(handle.serverId)?.state ?? this.#state("absent")
  }

  #existing(handle: VmHandle): FakeMachine {
    const machine = this.#machines.get(handle.serverId)
    if (!machine) throw agentMachineNotFound(handle.serverId)
    return machine
  }

  #state(power: PowerState, reason?: string): VmState {
    const since = this.#options.clock.now().toISOString()
    return reason === undefined ? { power, since } : { power, since, reason }
  }
}
