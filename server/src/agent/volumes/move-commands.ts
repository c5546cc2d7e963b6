// Moves a volume from one back end of this host to another.
//
//   noted         the two back ends may have it; the first one is right           (MoveStore)
//   copied        at rest by the second one's driver, in use by a mirror of the hypervisor
//   switched      the second one is right; a guest that runs is held meanwhile, so the two are the same then
//   told          the machine's record and its hypervisor name the second one
//   removed       the first one's data, then the note
//
// The queues of the machine and the volume are held at both ends. In between only the volume's is: whatever ends the
// machine does not wait for a copy, which breaks off then. Of a guest that runs, what it has open is right, whatever
// the note says.
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { invalid } from "../../platform/fault/fault.ts"
import { newUuid } from "../../platform/ids/ids.ts"
import { type AgentContext, existing, handleOf } from "../context.ts"
import {
  agentAbilityMissing,
  agentMachineStateWrong,
  agentVolumeBusy,
  agentVolumeCopyBroken,
  agentVolumeExists,
  agentVolumeMoveEncrypted,
  agentVolumeNotFound,
  agentVolumeShared,
} from "../faults.ts"
import {
  canMoveVolumes,
  canPlugVolumes,
  type Hypervisor,
  type LocalVolume,
  type MovesVolumes,
  type PlugsVolumes,
} from "../hypervisor/hypervisor.ts"
import type { MachineQueues } from "../machine-queue.ts"
import type { AgentCommands, VolumeFacts } from "../protocol.ts"
import type { MoveStore, VolumeMove } from "./move-store.ts"
import { withDisk } from "./volume-disks.ts"
import type { VolumeDriver } from "./volume-driver.ts"
import { checkVolumeId } from "./volume-id.ts"

type Args = AgentCommands["volume.move"]["args"]

export interface MoveCommandsOptions {
  context: AgentContext
  /** The queues of machines. */
  machines: MachineQueues
  moves: MoveStore
  /** For images on their way; emptied when the agent starts. */
  dir: string
}

/** Null: it is done. `copy`: ends when the two back ends have the same. */
type Begun = { serverId: string | null; isInUse: boolean; copy: () => Promise<void> } | null

/** A volume changes hands while one waits for its machine; so often is not by chance. */
const triesMost = 16

export class MoveCommands {
  readonly #options: MoveCommandsOptions

  constructor(options: MoveCommandsOptions) {
    this.#options = options
  }

  async move(args: Args, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, backend, fromBackend } = args
    const { volumes } = this.#options.context
    checkVolumeId(volumeId)
    if (backend === fromBackend) throw invalid("backend", "A volume is moved to another back end.")
    const to = volumes.driverOf(backend)
    volumes.driverOf(fromBackend)
    try {
      const begun = await this.#alone(volumeId, (serverId) => this.#begin(args, serverId, signal))
      if (begun) {
        await volumes.holdToMove(volumeId, begun.copy)
        await this.#alone(volumeId, (serverId) => this.#finish(args, serverId, begun))
      }
    } catch (error) {
      await this.#settleQuietly(volumeId)
      throw error
    }
    const facts = await to.inspect(volumeId)
    if (!facts) throw agentVolumeNotFound(volumeId)
    return facts
  }

  /** What an agent that was killed has left. Before machines are started. */
  async settleAll(): Promise<void> {
    for (const volumeId of this.#options.moves.ids()) await this.#settleQuietly(volumeId)
  }

  /** What is not settled stays noted, and nothing else is done to the volume until it is. */
  async #settleQuietly(volumeId: string): Promise<void> {
    try {
      await this.#alone(volumeId, (serverId) => this.#settle(volumeId, serverId))
    } catch (error) {
      this.#options.context.log.error({ volumeId, err: error }, "it is not settled where a volume is")
    }
  }

  async #begin(
    { volumeId, backend, fromBackend, fence }: Args,
    serverId: string | null,
    signal: AbortSignal,
  ): Promise<Begun> {
    const { context, moves, dir } = this.#options
    const [from, to] = [context.volumes.driverOf(fromBackend), context.volumes.driverOf(backend)]
    await this.#settle(volumeId, serverId)
    await context.volumes.acceptChange(volumeId, fence)
    const [before, after] = [await from.inspect(volumeId), await to.inspect(volumeId)]
    if (!before && after) return null
    if (!before) throw agentVolumeNotFound(volumeId)
    // Nobody knows what that is.
    if (after) throw agentVolumeExists(volumeId, after.sizeBytes)
    signal.throwIfAborted()
    const { sizeBytes } = before
    const move: VolumeMove = { from: fromBackend, to: backend, isSwitched: false }
    const copyStill = async () => void (await copyBetween(volumeId, sizeBytes, { from, to, dir, signal }))
    if (serverId === null) {
      await moves.put(volumeId, move)
      return { serverId, isInUse: false, copy: copyStill }
    }
    const hypervisor = moverOf(context)
    const handle = handleOf(context, serverId, existing(context, serverId))
    const { power } = await hypervisor.inspect(handle)
    const { disk } = this.#diskOf(serverId, volumeId, fromBackend)
    // Its guest has what it has not written yet, and the path.
    if (power === "suspended") throw agentMachineStateWrong("move a volume of", power)
    const isInUse = power === "running" || power === "paused"
    if (isInUse) {
      if (disk.source.encrypted === true) throw agentVolumeMoveEncrypted(volumeId)
      mustBeLocal(context, await from.open(volumeId))
    }
    await moves.put(volumeId, move)
    if (!isInUse) return { serverId, isInUse: false, copy: copyStill }
    await to.create(volumeId, sizeBytes, null, signal)
    const mirror = { disk, to: await to.open(volumeId), signal }
    mustBeLocal(context, mirror.to)
    const running = await hypervisor.mirrorVolume(handle, mirror)
    if (!running) {
      // What is there in this size would stay as it is: blank.
      await to.delete(volumeId)
      return { serverId, isInUse: false, copy: copyStill }
    }
    return { serverId, isInUse: true, copy: () => running.end() }
  }

  async #finish({ volumeId }: Args, serverId: string | null, begun: NonNullable<Begun>): Promise<void> {
    const { context, moves } = this.#options
    const move = moves.get(volumeId)
    if (!move) throw agentVolumeCopyBroken(volumeId, "it was broken off")
    const commit = (isSwitched: boolean) => moves.put(volumeId, { ...move, isSwitched })
    if (begun.isInUse) {
      if (serverId === null || serverId !== begun.serverId)
        throw agentVolumeCopyBroken(volumeId, "its machine ended")
      const { disk, record } = this.#diskOf(serverId, volumeId, move.to)
      const to = await context.volumes.driverOf(move.to).open(volumeId)
      await moverOf(context).switchVolume(handleOf(context, serverId, record), disk, to, commit)
    } else await commit(true)
    await this.#settle(volumeId, serverId)
  }

  /** Repeatable. Afterwards one back end has the volume, and whoever has it goes on with that one. */
  async #settle(volumeId: string, serverId: string | null): Promise<void> {
    const { context, moves } = this.#options
    const move = moves.get(volumeId)
    if (!move) return
    const { from, to } = move
    let isSwitched = move.isSwitched
    if (serverId !== null) {
      const open = await this.#openOf(serverId, volumeId, move)
      if (open !== null) isSwitched = open === to
    }
    if (isSwitched !== move.isSwitched) await moves.put(volumeId, { from, to, isSwitched })
    const [right, other] = isSwitched ? [to, from] : [from, to]
    if (serverId !== null) await this.#tell(serverId, volumeId, right)
    await context.volumes.driverOf(other).delete(volumeId)
    await moves.remove(volumeId)
  }

  /** The back end that the guest has open. */
  async #openOf(serverId: string, volumeId: string, { from, to }: VolumeMove): Promise<string | null> {
    const { context } = this.#options
    const places = Object.fromEntries(
      await Promise.all(
        [from, to].map(async (backend) => {
          const driver = context.volumes.driverOf(backend)
          return (await driver.inspect(volumeId)) ? [[backend, await driver.open(volumeId)] as const] : []
        }),
      ).then((found) => found.flat()),
    )
    const handle = handleOf(context, serverId, context.machines.get(serverId))
    const { disk } = this.#diskOf(serverId, volumeId, from)
    return await moverOf(context).endMirror(handle, disk, places)
  }

  /** The machine's next start, and what is done to it, finds the volume there. */
  async #tell(serverId: string, volumeId: string, backend: string): Promise<void> {
    const { context } = this.#options
    const { disk, record } = this.#diskOf(serverId, volumeId, backend)
    const volume = await context.volumes.driverOf(backend).open(volumeId)
    await context.machines.put({ ...record, spec: withDisk(record.spec, disk) })
    if (record.handle) await moverOf(context).plugVolume(record.handle, disk, volume, context.volumeKeys)
  }

  #diskOf(serverId: string, volumeId: string, backend: string) {
    const record = existing(this.#options.context, serverId)
    const disk = record.spec.disks.find(
      ({ source }) => source.kind === "volume" && source.volumeId === volumeId,
    )
    if (disk?.source.kind !== "volume") throw agentVolumeNotFound(volumeId)
    return { record, disk: { ...disk, source: { ...disk.source, backend } } }
  }

  /** In the queue of the machine that has it, and in its own. */
  async #alone<T>(volumeId: string, task: (serverId: string | null) => Promise<T>): Promise<T> {
    const { context, machines } = this.#options
    const { volumes } = context
    for (let left = triesMost; left > 0; left--) {
      const [serverId = null, other] = volumes.holdersOf(volumeId)
      if (other !== undefined) throw agentVolumeShared(volumeId)
      const run = () =>
        volumes.holdToMove(volumeId, async () => {
          // It was given or taken while this waited.
          const now = volumes.holdersOf(volumeId)
          if (now.length > 1 || (now[0] ?? null) !== serverId) return null
          return { result: await task(serverId) }
        })
      const done = serverId === null ? await run() : await machines.run(serverId, run, { isOwn: true })
      if (done) return done.result
    }
    throw agentVolumeBusy(volumeId)
  }
}

interface Between {
  from: VolumeDriver
  to: VolumeDriver
  /** Of what no path leads to, an image lies there on the way. */
  dir: string
  signal: AbortSignal
}

/** Nothing writes to it meanwhile. */
async function copyBetween(volumeId: string, sizeBytes: number, between: Between): Promise<void> {
  const { from, to, dir, signal } = between
  const volume = await from.open(volumeId)
  if (volume.kind === "file") {
    const { path, format } = volume
    const open = async () => ({ path, format, virtualSizeBytes: sizeBytes })
    await to.create(volumeId, sizeBytes, { kind: "image", open }, signal)
    return
  }
  const path = join(dir, `${volumeId}.${newUuid()}`)
  const open = async () => {
    await mkdir(dir, { recursive: true, mode: 0o711 })
    await from.copyOut(volumeId, { path, diskFormat: "qcow2", take: ({ copyStill }) => copyStill() }, signal)
    return { path, format: "qcow2" as const, virtualSizeBytes: sizeBytes }
  }
  try {
    await to.create(volumeId, sizeBytes, { kind: "image", open }, signal)
  } finally {
    await rm(path, { force: true })
  }
}

/** What a guest has open is known by its path, by which it is found after a crash. */
function mustBeLocal({ hypervisor }: AgentContext, { kind }: LocalVolume): void {
  if (kind === "rbd" || kind === "iscsi")
    throw agentAbilityMissing(hypervisor.name, "move a volume from or to Ceph while a guest has it")
}

function moverOf({ hypervisor }: AgentContext): Hypervisor & MovesVolumes & PlugsVolumes {
  if (!canMoveVolumes(hypervisor) || !canPlugVolumes(hypervisor))
    throw agentAbilityMissing(hypervisor.name, "move a volume")
  return hypervisor
}
