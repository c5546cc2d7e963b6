// The volumes of this host's back ends, and which machine has which. A volume belongs to a machine from before it is
// opened until after it is closed: the machine's record says so, and while it does, nobody else gets the volume and
// nobody removes it. Whoever changes that holds the volume's queue.
//
// A command that needs both takes the machine's queue first. Of several volumes, in the order of their ids.
import type { Clock } from "../../platform/clock/clock.ts"
import { invalid } from "../../platform/fault/fault.ts"
import type { Logger } from "../../platform/log/log.ts"
import {
  agentBackendUnknown,
  agentPropertyUnsupported,
  agentUnmanagedUnsupported,
  agentVolumeBusy,
  agentVolumeExists,
  agentVolumeInUse,
  agentVolumeMoving,
  agentVolumeNotExported,
  agentVolumeNotFound,
} from "../faults.ts"
import type { FenceStore } from "../fence-store.ts"
import type { LocalVolume } from "../hypervisor/hypervisor.ts"
import { MachineQueues } from "../machine-queue.ts"
import type { MachineStore } from "../machine-store.ts"
import type { AgentCommands, DiskSpec, Fence, VolumeFacts, VolumePool } from "../protocol.ts"
import type { MoveStore } from "./move-store.ts"
import { checkUnmanagedName } from "./unmanaged-name.ts"
import { type VolumeDisk, volumeDisks } from "./volume-disks.ts"
import type {
  UnmanagedData,
  VolumeCapacity,
  VolumeDriver,
  VolumeExports,
  VolumeOrigin,
} from "./volume-driver.ts"
import { checkVolumeId } from "./volume-id.ts"
import type { VolumeKeys } from "./volume-keys.ts"

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]
type Result<C extends keyof AgentCommands> = AgentCommands[C]["result"]

export interface VolumesOptions {
  drivers: readonly VolumeDriver[]
  fences: FenceStore
  machines: MachineStore
  /** Nothing but the move itself is done to a volume of which it is not settled where it is. */
  moves: MoveStore
  clock: Clock
  log: Logger
  /** This one's name. */
  host: string
  /** How volumes of other hosts are reached. */
  keys: VolumeKeys
  /** How long a back end may take to say what room it has; the report of the host waits for it. */
  poolTimeoutMs?: number
}

const defaultPoolTimeoutMs = 3_000

const sectorBytes = 512

export class Volumes {
  readonly #options: VolumesOptions
  readonly #drivers: ReadonlyMap<string, VolumeDriver>
  readonly #queues = new MachineQueues(agentVolumeBusy)
  /** What back ends have not answered yet. */
  readonly #asked = new Map<string, Promise<VolumeCapacity>>()

  constructor(options: VolumesOptions) {
    this.#options = options
    this.#drivers = new Map(options.drivers.map((driver) => [driver.name, driver]))
  }

  /** These three: the volume is held, and so is the one from which its data come. */
  async create(
    { volumeId, backend, sizeBytes, fence }: Args<"volume.create">,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<VolumeFacts> {
    const driver = this.#driver(backend)
    checkSize(sizeBytes)
    await this.#options.fences.accept(volumeId, fence, "ensure")
    return await driver.create(volumeId, sizeBytes, origin, signal)
  }

  /**
   * The volumes are held. What a run that was cut short has left of them is of another moment than what the next run
   * makes, so it goes. True: all are there, and were made by one run.
   */
  async beginTogether({ backend, volumes }: Args<"volume.create_together">): Promise<boolean> {
    const driver = this.#driver(backend)
    for (const { volumeId, sizeBytes, fence } of volumes) {
      checkSize(sizeBytes)
      await this.#options.fences.accept(volumeId, fence, "ensure", async () => this.mustBeFree(volumeId))
    }
    const found = await Promise.all(
      volumes.map(async ({ volumeId, sizeBytes }) => {
        const facts = await driver.inspect(volumeId)
        if (facts && facts.sizeBytes !== sizeBytes) throw agentVolumeExists(volumeId, facts.sizeBytes)
        return facts
      }),
    )
    const isWhole = found.every((facts) => facts !== null)
    // Also what has data and no record yet.
    if (!isWhole) for (const { volumeId } of volumes) await driver.delete(volumeId)
    return isWhole
  }

  async revert(
    { volumeId, backend, fence }: Pick<Args<"volume.revert">, "volumeId" | "backend" | "fence">,
    origin: VolumeOrigin,
    signal: AbortSignal,
  ): Promise<VolumeFacts> {
    const driver = this.#driver(backend)
    await this.#options.fences.accept(volumeId, fence, "change")
    this.mustBeFree(volumeId)
    return await driver.revert(volumeId, origin, signal)
  }

  async copyOut(
    { volumeId, backend, fence }: Pick<Args<"volume.upload">, "volumeId" | "backend" | "fence">,
    to: Parameters<VolumeDriver["copyOut"]>[1],
    signal: AbortSignal,
  ): Promise<void> {
    const driver = this.#driver(backend)
    await this.#options.fences.accept(volumeId, fence, "change")
    await driver.copyOut(volumeId, to, signal)
  }

  /** `keeps`: the cloud's database may be wrong about what is to be removed, so the data are kept aside (ADR 18). */
  async delete(
    { volumeId, backend, fence }: Args<"volume.delete">,
    { keeps }: { keeps: boolean },
  ): Promise<Result<"volume.delete">> {
    const driver = this.#driver(backend)
    return await this.#run(checkVolumeId(volumeId), async () => {
      await this.#options.fences.accept(volumeId, fence, "destroy", async () => this.mustBeFree(volumeId))
      if (keeps) await driver.setAside(volumeId)
      else await driver.delete(volumeId)
      return {}
    })
  }

  async extend({ volumeId, backend, sizeBytes, fence }: Args<"volume.extend">): Promise<VolumeFacts> {
    const driver = this.#driver(backend)
    checkSize(sizeBytes)
    return await this.#run(checkVolumeId(volumeId), async () => {
      await this.#options.fences.accept(volumeId, fence, "change")
      if (!(await driver.inspect(volumeId))) throw agentVolumeNotFound(volumeId)
      return await driver.extend(volumeId, sizeBytes)
    })
  }

  async unmanaged({ backend }: Args<"volume.unmanaged">): Promise<Result<"volume.unmanaged">> {
    return await this.#unmanagedOf(backend).list()
  }

  async manage({ volumeId, backend, name, sizeBytes, fence }: Args<"volume.manage">): Promise<VolumeFacts> {
    const data = this.#unmanagedOf(backend)
    checkSize(sizeBytes)
    checkUnmanagedName(name)
    return await this.#run(checkVolumeId(volumeId), async () => {
      await this.#options.fences.accept(volumeId, fence, "ensure")
      return await data.take(volumeId, name, sizeBytes)
    })
  }

  /** To the fences as a delete is: nobody commands what is under the id any more. */
  async unmanage({
    volumeId,
    backend,
    name,
    fence,
  }: Args<"volume.unmanage">): Promise<Result<"volume.unmanage">> {
    const data = this.#unmanagedOf(backend)
    checkUnmanagedName(name)
    return await this.#run(checkVolumeId(volumeId), async () => {
      await this.#options.fences.accept(volumeId, fence, "destroy", async () => this.mustBeFree(volumeId))
      await data.leave(volumeId, name)
      return {}
    })
  }

  async inspect({ volumeId, backend }: Args<"volume.inspect">): Promise<Result<"volume.inspect">> {
    const volume = await this.#driver(backend).inspect(checkVolumeId(volumeId))
    return { volume, serverId: this.holdersOf(volumeId)[0] ?? null }
  }

  /** Throws when a machine of this host has it. */
  mustBeFree(volumeId: string): void {
    const [serverId] = this.holdersOf(volumeId)
    if (serverId !== undefined) throw agentVolumeInUse(volumeId, serverId)
  }

  async connect({
    volumeId,
    backend,
    fence,
    ...to
  }: Args<"volume.connect">): Promise<Result<"volume.connect">> {
    const data = this.#exportsOf(volumeId, backend)
    return await this.#run(checkVolumeId(volumeId), async () => {
      this.mustBeFree(volumeId)
      return await data.connect(volumeId, { ...to, fence })
    })
  }

  async disconnect({
    volumeId,
    backend,
    fence,
  }: Args<"volume.disconnect">): Promise<Result<"volume.disconnect">> {
    const data = this.#exportsOf(volumeId, backend)
    return await this.#run(checkVolumeId(volumeId), async () => {
      await data.disconnect(volumeId, fence)
      return {}
    })
  }

  async list({ backend }: Args<"volume.list">): Promise<Result<"volume.list">> {
    return await this.#driver(backend).list()
  }

  /** A back end that does not answer in time is left out: nothing can be placed there now. */
  async pools(): Promise<VolumePool[]> {
    const pools = await Promise.all(this.#drivers.values().map((driver) => this.#poolOf(driver)))
    return pools.filter((pool) => pool !== null)
  }

  async #poolOf({ name: backend, abilities }: VolumeDriver): Promise<VolumePool | null> {
    try {
      return { backend, ...(await this.#capacityOf(backend)), abilities }
    } catch (error) {
      this.#options.log.error({ backend, err: error }, "a back end of volumes does not say what room it has")
      return null
    }
  }

  /** One that hangs is asked once, and not again before it has answered. */
  async #capacityOf(backend: string): Promise<VolumeCapacity> {
    const { clock, poolTimeoutMs = defaultPoolTimeoutMs } = this.#options
    let asked = this.#asked.get(backend)
    if (!asked) {
      asked = this.#driver(backend).capacity()
      this.#asked.set(backend, asked)
      const forget = () => void this.#asked.delete(backend)
      asked.then(forget, forget)
    }
    const answered = new AbortController()
    const late = clock.sleep(poolTimeoutMs, answered.signal).then(() => {
      throw new Error(`it has not answered within ${poolTimeoutMs} ms`)
    })
    try {
      return await Promise.race([asked, late])
    } finally {
      answered.abort()
    }
  }

  async removeLeftovers(): Promise<void> {
    for (const [backend, driver] of this.#drivers) {
      const remove = async () => {
        await driver.removeLeftovers()
        await driver.exports?.forgetReached((volumeId) => this.holdersOf(volumeId).length > 0)
      }
      await remove().catch((error: unknown) => {
        this.#options.log.error({ backend, err: error }, "what commands have left of volumes stays")
      })
    }
  }

  /** The servers whose machines on this host have the volume: one, or several that share it. */
  holdersOf(volumeId: string): string[] {
    return this.#holdersOf(volumeId).map(({ serverId }) => serverId)
  }

  #holdersOf(volumeId: string): { serverId: string; isShared: boolean }[] {
    return this.#options.machines.all().flatMap(({ spec: { serverId, disks } }) => {
      const found = volumeDisks(disks).find((one) => one.volumeId === volumeId)
      return found ? [{ serverId, isShared: found.isShared }] : []
    })
  }

  /** `write` makes them the machine's: nobody else can take or remove them from then on. Throws when another has one. */
  async claim(serverId: string, disks: readonly DiskSpec[], write: () => Promise<void>): Promise<void> {
    const wanted = volumeDisks(disks)
    const ids = wanted.map(({ volumeId }) => checkVolumeId(volumeId))
    if (new Set(ids).size < ids.length) throw invalid("disks", "A machine has a volume once.")
    const hold = (task: () => Promise<void>) => this.#hold(ids.toSorted(), task, { isOwn: true })
    await hold(async () => {
      for (const { volumeId, isShared } of wanted) {
        const others = this.#holdersOf(volumeId).filter((holder) => holder.serverId !== serverId)
        const alone = others.find((holder) => !isShared || !holder.isShared)
        if (alone) throw agentVolumeInUse(volumeId, alone.serverId)
      }
      await write()
    })
  }

  /** As `claim`; says how they are opened. */
  async claimAndOpen(
    serverId: string,
    disks: readonly DiskSpec[],
    write: () => Promise<void>,
  ): Promise<Record<string, LocalVolume>> {
    const opened: Record<string, LocalVolume> = {}
    for (const { volumeId, disk } of volumeDisks(disks)) {
      if (disk.name !== volumeId)
        throw invalid("disk.name", "The disk of a volume is called by the volume's id.")
      if (disk.bus !== "virtio")
        throw agentPropertyUnsupported("disk_bus", disk.bus, "volumes are virtio disks")
    }
    await this.claim(serverId, disks, async () => {
      for (const disk of volumeDisks(disks)) opened[disk.volumeId] = await this.openDisk(disk)
      await write()
    })
    return opened
  }

  async forgetTombstones(): Promise<void> {
    const { fences } = this.#options
    for (const volumeId of await fences.oldOnes()) {
      await this.#queues.run(volumeId, () => fences.forgetOld(volumeId), { isOwn: true })
    }
  }

  async idle(): Promise<void> {
    await this.#queues.idle()
  }

  /** Nobody else changes these volumes, opens or closes them, until `task` is over. Not within itself. */
  async hold<T>(volumeIds: readonly string[], task: () => Promise<T>, how = { isOwn: false }): Promise<T> {
    return await this.#hold([...new Set(volumeIds)].toSorted(), task, how)
  }

  /** As `hold`, for what settles where the volume is. */
  async holdToMove<T>(volumeId: string, task: () => Promise<T>): Promise<T> {
    return await this.#queues.run(checkVolumeId(volumeId), task, { isOwn: true })
  }

  /** The volume is held: throws when a newer command has been here. */
  async acceptChange(volumeId: string, fence: Fence): Promise<void> {
    await this.#options.fences.accept(volumeId, fence, "change")
  }

  driverOf(backend: string): VolumeDriver {
    return this.#driver(backend)
  }

  /** The volume is held. What lies on another host is reached there. */
  async openDisk({ volumeId, backend, host }: VolumeDisk): Promise<LocalVolume> {
    const { host: own, keys } = this.#options
    const { exports: reached } = this.#driver(backend)
    if (host === null || host === own || !reached) return await this.#open(volumeId, backend)
    return await reached.reach(volumeId, () => keys.connect(volumeId))
  }

  /** One that has just been moved is opened where it is, once the command says so, too. */
  async #open(volumeId: string, backend: string): Promise<LocalVolume> {
    try {
      return await this.#driver(backend).open(volumeId)
    } catch (error) {
      if (!agentVolumeNotFound.is(error)) throw error
      for (const driver of this.#drivers.values())
        if (await driver.inspect(volumeId)) throw Object.assign(agentVolumeMoving(volumeId), { cause: error })
      throw error
    }
  }

  async #run<T>(volumeId: string, task: () => Promise<T>, how = { isOwn: false }): Promise<T> {
    const settled = async () => {
      if (this.#options.moves.get(volumeId)) throw agentVolumeMoving(volumeId)
      return await task()
    }
    return await this.#queues.run(volumeId, settled, how)
  }

  /** In one order for all, so that no two wait for each other. */
  async #hold<T>(
    [first, ...rest]: readonly string[],
    task: () => Promise<T>,
    how: { isOwn: boolean },
  ): Promise<T> {
    if (first === undefined) return await task()
    return await this.#run(first, () => this.#hold(rest, task, how), how)
  }

  #unmanagedOf(backend: string): UnmanagedData {
    const { unmanaged } = this.#driver(backend)
    if (!unmanaged) throw agentUnmanagedUnsupported(backend)
    return unmanaged
  }

  #exportsOf(volumeId: string, backend: string): VolumeExports {
    const { exports: found } = this.#driver(backend)
    if (!found) throw agentVolumeNotExported(volumeId, backend)
    return found
  }

  #driver(backend: string): VolumeDriver {
    const driver = this.#drivers.get(backend)
    if (!driver) throw agentBackendUnknown(backend)
    return driver
  }
}

function checkSize(sizeBytes: number): void {
  if (Number.isSafeInteger(sizeBytes) && sizeBytes > 0 && sizeBytes % sectorBytes === 0) return
  throw invalid("sizeBytes", `The size of a volume is a multiple of ${sectorBytes} bytes.`)
}
