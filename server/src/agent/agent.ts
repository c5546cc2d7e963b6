// The agent of a host: serves AgentCommands, keeps what it was told on disk, and reports what it sees. It has no
// database. One queue a machine, so that no two commands, nor a command and a guest's own end, cross each other.
import { mkdirSync } from "node:fs"
import { isDiskFull } from "../platform/exec/disk-full.ts"
import { bootId } from "../platform/exec/process.ts"
import { Fault, invalid } from "../platform/fault/fault.ts"
import { isUuid } from "../platform/ids/ids.ts"
import { toldProgram } from "../platform/program/program.ts"
import { AliveReports, type Seen } from "./alive-reports.ts"
import { AsideStore, serverIdOf } from "./aside.ts"
import { describeUnknown, discardAside, setMachineAside, takeBack } from "./aside-commands.ts"
import { Consoles } from "./consoles.ts"
import type { AgentContext } from "./context.ts"
import type { AgentDeps } from "./deps.ts"
import { DiskCommands } from "./disk-commands.ts"
import { EpochStore } from "./epoch-store.ts"
import {
  agentCommandUnknown,
  agentDiskFull,
  agentFenceStale,
  agentMachineNotFound,
  agentStopping,
} from "./faults.ts"
import { FenceStore, type FenceUse } from "./fence-store.ts"
import { followState } from "./follow-state.ts"
import { interruptGuest, setGuestPassword } from "./guest-commands.ts"
import { uptimeLine } from "./hypervisor/host-facts.ts"
import { ImageCommands } from "./image-commands.ts"
import { LiveCommands } from "./live-commands.ts"
import {
  destroyMachine,
  diagnoseMachine,
  ensureMachine,
  inspectMachine,
  listMachines,
  openConsole,
  plugMachine,
  readConsole,
  rebootMachine,
  setMachinePower,
  snapshotMachine,
  suspendMachine,
  unplugMachine,
} from "./machine-commands.ts"
import { MachineQueues } from "./machine-queue.ts"
import { agentDirectories, MachineStore } from "./machine-store.ts"
import { MetadataKeeper } from "./metadata/metadata-keeper.ts"
import { describeNetwork, type NetworkPart } from "./network-part.ts"
import type { AgentCommands, Fence, HostDescription, VmState, VolumeFacts } from "./protocol.ts"
import { powerOffAll, type RecoveryDeps, recoverMachines } from "./recovery.ts"
import { Snapshots } from "./snapshots.ts"
import { WakeablePause } from "./start-rights.ts"
import { CopyCommands } from "./volumes/copy-commands.ts"
import { MoveCommands } from "./volumes/move-commands.ts"
import { MoveStore } from "./volumes/move-store.ts"
import { growVolume, plugVolume, unplugVolume } from "./volumes/plug-commands.ts"
import { TravelCommands } from "./volumes/travel-commands.ts"
import { Volumes } from "./volumes/volumes.ts"

export type CommandName = keyof AgentCommands
type Args<C extends CommandName> = AgentCommands[C]["args"]
type Result<C extends CommandName> = AgentCommands[C]["result"]

export interface Agent {
  /** `signal`: nobody waits for the answer any more. What only copies ends then. */
  handle<C extends CommandName>(command: C, args: Args<C>, signal?: AbortSignal): Promise<Result<C>>
  /** Once, before commands are taken: adopts what lives, reports all, and starts again what must run. */
  recoverAll(): Promise<void>
  /** Reports now that it lives: whoever should know has not heard of it for a while. */
  sayAlive(): void
  /** Powers every guest off and lets go. They run again after the next `recoverAll`. */
  stopForShutdown(how: { graceMs: number }): Promise<void>
  /** Lets go of everything; the guests run on. */
  release(): Promise<void>
}

/** What keeps a machine from starting with its host may be another part of it that is not up yet. */
const defaultResumePausesMs = [5_000, 20_000, 60_000, 180_000]
/** How long a guest that no row knows gets to power off by itself. */
const asideGraceMs = 10_000
/** How often it is looked for tombstones that are older than they are kept, and for such snapshots. */
const tombstoneIntervalMs = 6 * 3_600_000
const oldSnapshotIntervalMs = 3_600_000

export function createAgent(deps: AgentDeps): Agent {
  return new HostAgent(deps)
}

type Fenced = Pick<Args<"volume.create">, "volumeId" | "fence">

class HostAgent implements Agent {
  readonly #context: AgentContext
  readonly #recovery: RecoveryDeps
  readonly #queues = new MachineQueues()
  readonly #stop = new AbortController()
  readonly #stopResuming = new AbortController()
  readonly #epoch: EpochStore
  readonly #snapshots: Snapshots
  readonly #copies: CopyCommands
  readonly #moves: MoveCommands
  readonly #travels: TravelCommands
  readonly #images: ImageCommands
  readonly #disks: DiskCommands
  readonly #live: LiveCommands
  readonly #consoles: Consoles
  readonly #metadata: MetadataKeeper
  readonly #alive: AliveReports
  readonly #network: NetworkPart | undefined
  readonly #loops: Promise<void>[] = []
  #isStopping = false
  #resumed: Promise<void> = Promise.resolve()

  constructor(deps: AgentDeps) {
    const directories = agentDirectories(deps.dataDir)
    mkdirSync(directories.vms, { recursive: true, mode: 0o711 })
    const { host, hypervisor, ports, images, log, clock, report } = deps
    const machines = new MachineStore(directories.vms)
    const moves = new MoveStore(directories.volumeMoves)
    this.#context = {
      ...{ host, hypervisor, ports, images, log, clock, report, machines, volumeKeys: deps.volumeKeys },
      fences: new FenceStore(directories.fences, clock),
      aside: new AsideStore(directories),
      volumes: new Volumes({
        ...{ drivers: deps.volumes, machines, moves, clock, log, host, keys: deps.volumeKeys },
        ...(deps.poolTimeoutMs === undefined ? {} : { poolTimeoutMs: deps.poolTimeoutMs }),
        fences: new FenceStore(directories.volumeFences, clock),
      }),
      imagesBeingRead: new Set(),
    }
    this.#copies = new CopyCommands({
      ...{ context: this.#context, machines: this.#queues, store: deps.imageStore },
      backups: deps.backups,
      uploadsDir: directories.volumeUploads,
    })
    const travelling = { context: this.#context, dir: directories.volumeTravels }
    this.#moves = new MoveCommands({ ...travelling, machines: this.#queues, moves })
    this.#travels = new TravelCommands({ ...travelling, streams: deps.streams })
    const check = (imageId: string, fence: Fence) => this.#check(imageId, fence)
    this.#images = new ImageCommands({ context: this.#context, dir: directories.imageFences, check })
    const { streams } = deps
    this.#disks = new DiskCommands({ context: this.#context, streams, dir: directories.diskTravels })
    this.#live = new LiveCommands({ context: this.#context, streams })
    this.#recovery = {
      ...{ context: this.#context, queues: this.#queues, directories },
      bootId: deps.bootId ?? bootId,
      stop: this.#stopResuming.signal,
      resumePausesMs: deps.resumePausesMs ?? defaultResumePausesMs,
      ...{ startRights: deps.startRights, pause: new WakeablePause() },
      epochId: () => this.#epoch.entered?.id ?? null,
    }
    this.#epoch = new EpochStore(directories.epoch)
    const common = { clock, log, stop: this.#stop.signal }
    this.#snapshots = new Snapshots({ ...common, dir: directories.snapshots, store: deps.imageStore })
    this.#consoles = new Consoles(deps.streams, log)
    const metadata = { ...common, server: deps.metadata, stateFile: directories.metadata }
    this.#metadata = new MetadataKeeper(metadata)
    this.#network = deps.network
    this.#alive = new AliveReports({
      ...{ ...common, host, report, look: () => this.#lookAround() },
      ...(deps.aliveIntervalMs === undefined ? {} : { intervalMs: deps.aliveIntervalMs }),
    })
  }

  async handle<C extends CommandName>(
    command: C,
    args: Args<C>,
    signal: AbortSignal = this.#stop.signal,
  ): Promise<Result<C>> {
    if (this.#isStopping) throw agentStopping(this.#context.host)
    if (!Object.hasOwn(this.#commands, command)) throw agentCommandUnknown(command)
    const run: (args: Args<C>, signal: AbortSignal) => Promise<Result<C>> = this.#commands[command]
    try {
      return await run(args, signal)
    } catch (error) {
      throw isDiskFull(error) ? Object.assign(agentDiskFull(), { cause: error }) : error
    }
  }

  async recoverAll(): Promise<void> {
    // Before looking, so that what happens while we look is seen as well.
    this.#loops.push(this.#followEvents(), this.#alive.keep(), this.#metadata.keep())
    this.#loops.push(this.#removeOld("tombstones", tombstoneIntervalMs, () => this.#forgetTombstones()))
    this.#loops.push(this.#removeOld("snapshots", oldSnapshotIntervalMs, () => this.#snapshots.removeOld()))
    // Before guests go on: each is to find its volumes in one place.
    await this.#moves.settleAll()
    const { resumed } = await recoverMachines(this.#recovery)
    this.#resumed = resumed
    // After machines were looked at: their hypervisor has ended what it was still copying.
    const copying = [this.#copies, this.#travels, this.#disks]
    await Promise.all(copying.map((each) => each.removeLeftovers())).catch((error: unknown) => {
      this.#context.log.error({ err: error }, "what commands have left of disks could not be removed")
    })
  }

  async stopForShutdown(how: { graceMs: number }): Promise<void> {
    this.#isStopping = true
    this.#stopResuming.abort()
    await this.#resumed
    await powerOffAll(this.#recovery, how.graceMs)
    await this.release()
  }

  async release(): Promise<void> {
    this.#isStopping = true
    this.#stop.abort()
    this.#stopResuming.abort()
    this.#consoles[Symbol.dispose]()
    await this.#resumed
    await this.#queues.idle()
    await this.#snapshots.idle()
    await this.#copies.idle()
    await this.#context.volumes.idle()
    await Promise.all(this.#loops)
    await this.#context.hypervisor[Symbol.asyncDispose]()
  }

  /** The whole protocol; the type makes it complete. */
  readonly #commands: { [C in CommandName]: (args: Args<C>, signal: AbortSignal) => Promise<Result<C>> } = {
    "vm.ensure": (args) =>
      this.#change(args.spec.serverId, args.fence, "ensure", () =>
        ensureMachine(this.#context, args.spec, args.power, args.tickets),
      ),
    // Also of a server that is made anew elsewhere by now: its guest is not to run here until all of it is there.
    "vm.stop": (args) =>
      this.#instead(args, () => setMachinePower(this.#context, args.serverId, "shutdown", args.graceMs)),
    "vm.reboot": (args) =>
      this.#change(args.spec.serverId, args.fence, "change", () =>
        rebootMachine(this.#context, args.spec, args, args.tickets),
      ),
    "vm.pause": (args) =>
      this.#changeOf(args, () => setMachinePower(this.#context, args.serverId, "paused", 0)),
    "vm.unpause": (args) =>
      this.#changeOf(args, () => setMachinePower(this.#context, args.serverId, "running", 0)),
    "vm.suspend": (args) => this.#changeOf(args, () => suspendMachine(this.#context, args.serverId)),
    "vm.destroy": (args) => this.#destroy(args.serverId, args.fence),
    "vm.set_aside": (args) => this.#setAside(args.serverId, args.fence, args.why, asideGraceMs),
    "vm.take_back": (args) =>
      this.#queues.run(serverIdOf(args.entry), () => takeBack(this.#context, args.entry)),
    "vm.inspect": (args) => inspectMachine(this.#context, checkId(args.serverId)),
    "vm.plug": (args) => this.#changeOf(args, () => plugMachine(this.#context, args.serverId, args.vif)),
    "vm.unplug": (args) =>
      this.#changeOf(args, () => unplugMachine(this.#context, args.serverId, args.portId)),
    "vm.inject_nmi": (args) => this.#changeOf(args, () => interruptGuest(this.#context, args.serverId)),
    "vm.set_password": (args) =>
      this.#queues.run(checkId(args.serverId), () => setGuestPassword(this.#context, args)),
    "vm.console_log": (args) => readConsole(this.#context, checkId(args.serverId), args.lines),
    "vm.console": async ({ serverId, kind, streamId }) => {
      const open = () => openConsole(this.#context, checkId(serverId), kind)
      await this.#consoles.open({ serverId, kind, streamId }, open)
      return {}
    },
    "vm.diagnostics": (args) => diagnoseMachine(this.#context, checkId(args.serverId)),
    "vm.snapshot": ({ serverId, imageId, fence }) =>
      this.#change(serverId, fence, "change", () =>
        this.#snapshots.take(checkId(imageId), (path) => snapshotMachine(this.#context, serverId, path)),
      ),
    "vm.upload_snapshot": async ({ serverId, imageId, ticket, fence }, signal) => {
      await this.#change(serverId, fence, "change", async () => {})
      await this.#snapshots.upload(checkId(imageId), ticket, signal)
      return {}
    },
    "vm.discard_snapshot": async ({ serverId, imageId, fence }) => {
      this.#check(serverId, fence)
      if (this.#context.fences.isTakenOver(serverId, fence)) throw agentFenceStale(serverId)
      await this.#snapshots.discard(checkId(imageId))
      return {}
    },
    "vm.send_disk": (args, signal) =>
      this.#changeOf(args, () => this.#disks.send(args, this.#untilStop(signal))),
    "vm.receive_disk": (args, signal) =>
      this.#changeOf(args, () => this.#disks.receive(args, this.#untilStop(signal))),
    "vm.layout": (args) => this.#queues.run(checkId(args.serverId), () => this.#live.layout(args)),
    "vm.send_live": (args, signal) =>
      this.#changeOf(args, () => this.#live.send(args, this.#untilStop(signal))),
    "vm.receive_live": (args, signal) =>
      this.#change(args.spec.serverId, args.fence, "ensure", () =>
        this.#live.receive(args, this.#untilStop(signal)),
      ),
    "vm.stay": (args) => this.#instead(args, () => this.#live.stay(args)),
    "vm.live_progress": (args) => this.#live.progress({ serverId: checkId(args.serverId) }),
    "vm.hurry_live": (args) => this.#withoutTurn(args, () => this.#live.hurry(args)),
    "vm.abort_live": (args) => this.#withoutTurn(args, () => this.#live.giveUp(args)),
    "host.log_level": async ({ level }) => this.#logLevel(level),
    "host.uptime": async () => ({ text: uptimeLine(this.#context.clock.now()) }),
    "host.epoch": async ({ enter }) => {
      if (enter) await this.#epoch.enter(enter)
      return { epoch: this.#epoch.entered }
    },
    "host.unknown": ({ serverIds }) => describeUnknown(this.#context, serverIds.map(checkId)),
    "host.discard": async ({ entry }) =>
      await this.#queues.run(serverIdOf(entry), () => discardAside(this.#context, entry)),
    "host.serve_metadata": ({ networks }) => this.#metadata.serve(networks),
    "image.cache": (args) => this.#images.cache(args),
    "image.uncache": (args) => this.#images.uncache(args),
    "image.cached": async () => this.#images.list(),
    "image.prune": (args) => this.#images.prune(args),
    "host.describe": async () => ({
      ...(await this.#describe()),
      pools: await this.#context.volumes.pools(),
    }),
    "vm.list": () => listMachines(this.#context),
    "vm.plug_volume": (args) =>
      this.#changeOf(args, () => plugVolume(this.#context, args.serverId, args.disk)),
    "vm.unplug_volume": (args) =>
      this.#changeOf(args, () => unplugVolume(this.#context, args.serverId, args.volumeId)),
    "volume.create": (args, signal) => this.#copy(args, signal, (end) => this.#copies.create(args, end)),
    "volume.create_together": (args, signal) =>
      this.#copy(args.volumes, signal, (until) => this.#copies.createTogether(args, until)),
    "volume.delete": (args) =>
      this.#onVolume(args, (volumes) => volumes.delete(args, { keeps: !this.#agreesWith(args.fence) })),
    "volume.extend": (args) => this.#extendVolume(args),
    "volume.revert": (args, signal) => this.#copy(args, signal, (end) => this.#copies.revert(args, end)),
    "volume.recode": (args, signal) => this.#copy(args, signal, (end) => this.#copies.recode(args, end)),
    "volume.reimage": (args, signal) => this.#copy(args, signal, (end) => this.#copies.reimage(args, end)),
    "volume.upload": (args, signal) => this.#copy(args, signal, (end) => this.#copies.upload(args, end)),
    "volume.move": (args, signal) => this.#copy(args, signal, (end) => this.#moves.move(args, end)),
    "volume.send": (args, signal) => this.#copy(args, signal, (end) => this.#travels.send(args, end)),
    "volume.receive": (args, signal) => this.#copy(args, signal, (end) => this.#travels.receive(args, end)),
    "volume.unmanaged": (args) => this.#context.volumes.unmanaged(args),
    "volume.manage": (args) => this.#onVolume(args, (volumes) => volumes.manage(args)),
    "volume.unmanage": (args) => this.#onVolume(args, (volumes) => volumes.unmanage(args)),
    "volume.backup": (args, signal) => this.#copy(args, signal, (end) => this.#copies.backup(args, end)),
    "volume.restore": (args, signal) => this.#copy(args, signal, (end) => this.#copies.restore(args, end)),
    "volume.connect": (args) => this.#context.volumes.connect(args),
    "volume.disconnect": (args) => this.#context.volumes.disconnect(args),
    "volume.inspect": (args) => this.#context.volumes.inspect(args),
    "volume.list": (args) => this.#context.volumes.list(args),
  }

  #untilStop(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#stop.signal])
  }

  /** What copies a volume is ended in its middle when the agent stops. */
  async #copy<T>(
    made: Fenced | readonly Fenced[],
    signal: AbortSignal,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    for (const { volumeId, fence } of [made].flat()) this.#check(volumeId, fence)
    try {
      return await task(this.#untilStop(signal))
    } catch (error) {
      if (!this.#stop.signal.aborted || error instanceof Fault) throw error
      throw Object.assign(agentStopping(this.#context.host), { cause: error })
    }
  }

  async #onVolume<T>({ volumeId, fence }: Fenced, task: (volumes: Volumes) => Promise<T>): Promise<T> {
    this.#check(volumeId, fence)
    return await task(this.#context.volumes)
  }

  async #changeOf<T>({ serverId, fence }: Args<"vm.pause">, task: () => Promise<T>): Promise<T> {
    return await this.#change(serverId, fence, "change", task)
  }

  /** Of what concerns the command that has the machine's queue. */
  async #withoutTurn<T>({ serverId, fence }: Args<"vm.pause">, task: () => Promise<T>): Promise<T> {
    this.#check(serverId, fence)
    if (this.#context.fences.isStale(serverId, fence, "change")) throw agentFenceStale(serverId)
    return await task()
  }

  /** What is on its way must not keep the machine's queue from who has the machine now. */
  #breakOff(serverId: string, fence: Fence, use: FenceUse): void {
    this.#check(serverId, fence)
    if (!this.#context.fences.isStale(serverId, fence, use)) this.#live.abort(serverId)
  }

  /** Of what is on its way. */
  #instead<T>(args: { serverId: string; fence: Fence }, task: () => Promise<T>): Promise<T> {
    this.#breakOff(args.serverId, args.fence, "change")
    return this.#changeOf(args, task)
  }

  async #change<T>(serverId: string, fence: Fence, use: FenceUse, task: () => Promise<T>): Promise<T> {
    this.#check(serverId, fence)
    return await this.#queues.run(serverId, async () => {
      const isUnknown = !this.#context.machines.get(serverId)
      await this.#context.fences.accept(serverId, fence, use)
      if (use === "change" && isUnknown) throw agentMachineNotFound(serverId)
      return await task()
    })
  }

  #logLevel(level: string | null): { level: string } {
    const { log } = this.#context
    if (level !== null && ["debug", "info", "warn", "error"].includes(level)) log.level = level
    return { level: log.level }
  }

  #check(serverId: string, fence: Fence): void {
    checkId(serverId)
    // Of a database that was replaced by a restored one: whatever it wants, it is the past.
    if ((fence.epoch ?? 0) < (this.#epoch.entered?.number ?? 0)) throw agentFenceStale(serverId)
  }

  /**
   * A restored database may be wrong about what is to be removed: until this host agrees with it (`host.epoch`), what
   * is destroyed is kept aside.
   */
  async #destroy(serverId: string, fence: Fence): Promise<VmState> {
    this.#breakOff(serverId, fence, "destroy")
    if (this.#agreesWith(fence)) {
      return await this.#change(serverId, fence, "destroy", () => destroyMachine(this.#context, serverId))
    }
    await this.#setAside(serverId, fence, "destroyed before its host agreed with the restored database", 0)
    return await inspectMachine(this.#context, serverId)
  }

  #agreesWith(fence: Fence): boolean {
    const entered = this.#epoch.entered
    return entered === null || entered.number === (fence.epoch ?? 0)
  }

  /** The volume's queue is left before the machine's is entered (volumes/volumes.ts). */
  async #extendVolume(args: Args<"volume.extend">): Promise<VolumeFacts> {
    const { volumeId, fence } = args
    this.#check(volumeId, fence)
    const { volumes } = this.#context
    const facts = await volumes.extend(args)
    for (const serverId of volumes.holdersOf(volumeId)) {
      const grow = () => growVolume(this.#context, serverId, volumeId)
      await this.#queues.run(serverId, grow)
    }
    return facts
  }

  async #setAside(
    serverId: string,
    fence: Fence | null,
    why: string,
    graceMs: number,
  ): Promise<{ entry: string }> {
    if (fence) this.#check(serverId, fence)
    return await this.#queues.run(checkId(serverId), () =>
      setMachineAside(this.#context, { serverId, fence, why, graceMs }),
    )
  }

  async #followEvents(): Promise<void> {
    const { hypervisor, log } = this.#context
    for await (const { serverId } of hypervisor.events(this.#stop.signal)) {
      // Not awaited: one machine's long command must not hold up the news of the others.
      void this.#queues
        .run(serverId, () => this.#follow(serverId), { isOwn: true })
        .catch((error: unknown) => log.error({ serverId, err: error }, "an event could not be followed"))
    }
  }

  async #follow(serverId: string): Promise<void> {
    if (!this.#isStopping) await followState(this.#context, serverId)
  }

  sayAlive(): void {
    this.#alive.sayNow()
    this.#recovery.pause.wake()
  }

  async #lookAround(): Promise<Seen> {
    const description = await this.#describe()
    const network = this.#network && (await describeNetwork(this.#network))
    const pools = await this.#context.volumes.pools()
    return { description, pools, ...(network ? { network } : {}) }
  }

  async #describe(): Promise<HostDescription> {
    const { abilities, ...facts } = await this.#context.hypervisor.describe()
    return { ...facts, ...toldProgram(), abilities: { ...abilities, metadata: this.#metadata.canServe } }
  }

  async #removeOld(what: string, intervalMs: number, remove: () => Promise<void>): Promise<void> {
    const { clock, log } = this.#context
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await remove()
      } catch (error) {
        log.error({ err: error }, `old ${what} could not be removed`)
      }
      await clock.sleep(intervalMs, signal).catch(() => {})
    }
  }

  async #forgetTombstones(): Promise<void> {
    const { fences, volumes } = this.#context
    await volumes.forgetTombstones()
    await this.#images.forgetOldFences()
    for (const serverId of await fences.oldOnes()) {
      await this.#queues.run(serverId, () => fences.forgetOld(serverId), { isOwn: true })
    }
  }
}

function checkId(id: string): string {
  if (!isUuid(id)) throw invalid("id", "An id of a server or an image is a UUID.")
  return id
}
