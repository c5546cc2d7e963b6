// Volumes that get their data from elsewhere, and images and backups that get theirs from a volume.
//
//   the machine's queue          its hypervisor takes the volume as it is at one moment, or says that it is at rest
//   the queues of the volumes    until the copy is whole; the machine's queue is left as soon as the moment has been
//
// What opens or closes the volume meanwhile waits for the volume's queue: a start, a suspend, a plug, an unplug, an
// extend, a delete. What only ends the machine does not wait, and breaks the copy of a guest that ran; the sender asks
// again, and the volume is at rest then. Whatever is half is made anew when it is asked for again.
import { mkdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { invalid } from "../../platform/fault/fault.ts"
import { isUuid, newUuid } from "../../platform/ids/ids.ts"
import { type AgentContext, handleOf, imagesInUse } from "../context.ts"
import { agentVolumeBusy, agentVolumeNotFound, agentVolumeShared, agentVolumesApart } from "../faults.ts"
import { canPlugVolumes, type RunningCopy, type WantedCopy } from "../hypervisor/hypervisor.ts"
import type { ImageStore } from "../image-cache/image-store.ts"
import { MachineQueues } from "../machine-queue.ts"
import type { AgentCommands, ImageTickets, VolumeFacts, VolumeSource } from "../protocol.ts"
import { volatileDirectory } from "../volatile-directory.ts"
import { fetchFile, sendFile } from "./backup-data.ts"
import type { BackupAccess, BackupStore } from "./backup-store.ts"
import { checkImageFormat } from "./copy-data.ts"
import { writeLuksHeader, writeLuksImage } from "./luks.ts"
import { recodeVolume } from "./recode.ts"
import type { FileOrigin, ImageOrigin, TakeCopy, VolumeOrigin } from "./volume-driver.ts"
import { checkVolumeId } from "./volume-id.ts"

type Args<C extends keyof AgentCommands> = AgentCommands[C]["args"]

export interface CopyCommandsOptions {
  context: AgentContext
  /** The queues of machines. */
  machines: MachineQueues
  /** For files on their way to the store. */
  uploadsDir: string
  store: Pick<ImageStore, "store">
  backups: BackupStore
}

/** Of one command. */
const togetherMost = 256

/** A volume changes hands while one waits for its machine; so often is not by chance. */
const triesMost = 16

export class CopyCommands {
  readonly #options: CopyCommandsOptions
  /** By image. */
  readonly #uploads = new MachineQueues(agentVolumeBusy)

  constructor(options: CopyCommandsOptions) {
    this.#options = options
  }

  async create(args: Args<"volume.create">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, source, tickets, encrypted } = args
    const { volumes } = this.#options.context
    checkVolumeId(volumeId)
    const make = (origin: VolumeOrigin | null) => volumes.create(args, origin, signal)
    const made = async (image: ImageOrigin | null) =>
      await make(encrypted ? await this.#inLuks(volumeId, image, signal) : image)
    if (!source) return await volumes.hold([volumeId], () => made(null))
    if (source.kind === "image") {
      return await this.#withImage(source, tickets, (origin) => volumes.hold([volumeId], () => made(origin)))
    }
    if (source.kind === "backup") {
      const { dataId } = source
      const access = { dataId, ticket: tickets?.[dataId] ?? "" }
      const origin = this.#fetching(access, args.sizeBytes, signal)
      return await volumes.hold([volumeId], () => make(origin))
    }
    if (source.kind !== "volume")
      throw invalid("source", "A volume is made from an image, a volume or a backup.")
    const from = { sourceId: source.volumeId, name: volumeId, volumeIds: [volumeId], signal }
    return await this.#withVolume(from, (take) => make({ kind: "volume", volumeId: source.volumeId, take }))
  }

  /** Either all that is there afterwards was made by one run, or some of it is missing. */
  async createTogether(
    args: Args<"volume.create_together">,
    signal: AbortSignal,
  ): Promise<Record<string, never>> {
    const { volumes } = this.#options.context
    const { length } = args.volumes
    if (length < 1 || length > togetherMost)
      throw invalid("volumes", `1 to ${togetherMost} volumes are copied together.`)
    const sourceIds = args.volumes.map(({ fromVolumeId }) => fromVolumeId)
    const volumeIds = args.volumes.map(({ volumeId }) => checkVolumeId(volumeId))
    await this.#withVolumes({ sourceIds, volumeIds }, async (serverId, leave) => {
      if (await volumes.beginTogether(args)) return
      const broken = new AbortController()
      const until = AbortSignal.any([signal, broken.signal])
      const ofMachine = args.volumes.filter(({ fromVolumeId }) => volumes.holdersOf(fromVolumeId).length > 0)
      const together = new Together(ofMachine.length, async (copies) => {
        const running = await this.#begin(serverId, copies)
        leave()
        return running
      })
      const make = async (one: (typeof args.volumes)[number], take: TakeCopy) => {
        const { fromVolumeId, ...wanted } = one
        const origin = { kind: "volume", volumeId: fromVolumeId, take } as const
        await volumes.create({ ...wanted, backend: args.backend }, origin, until)
      }
      const atRest = args.volumes.filter((one) => !ofMachine.includes(one))
      await allOrNone(
        [
          ...ofMachine.map((one) =>
            make(one, together.join({ volumeId: one.fromVolumeId, name: one.volumeId, signal: until })),
          ),
          // One after the other: nothing writes to them as long as they are held.
          (async () => {
            for (const one of atRest) await make(one, ({ copyStill }) => copyStill())
          })(),
        ],
        (error) => {
          together.fail(error)
          broken.abort(error)
        },
      )
    })
    return {}
  }

  async revert(args: Args<"volume.revert">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, fromVolumeId } = args
    const { volumes } = this.#options.context
    const from = { sourceId: fromVolumeId, name: volumeId, volumeIds: [checkVolumeId(volumeId)], signal }
    return await this.#withVolume(from, (take) =>
      volumes.revert(args, { kind: "volume", volumeId: fromVolumeId, take }, signal),
    )
  }

  async reimage(args: Args<"volume.reimage">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, source, tickets, encrypted } = args
    const { volumes } = this.#options.context
    checkVolumeId(volumeId)
    return await this.#withImage(source, tickets, (image) =>
      volumes.hold([volumeId], async () => {
        const origin = encrypted ? await this.#inLuks(volumeId, image, signal) : image
        return await volumes.revert(args, origin, signal)
      }),
    )
  }

  /** Whether they are so already is seen in the data: it is repeatable, there and back. */
  async recode(args: Args<"volume.recode">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, backend, becomes, fence } = args
    const { context, uploadsDir } = this.#options
    const { volumes } = context
    return await volumes.hold([checkVolumeId(volumeId)], async () => {
      await volumes.acceptChange(volumeId, fence)
      volumes.mustBeFree(volumeId)
      const making = { keysDir: this.#keysDir, key: await context.volumeKeys.of(volumeId), signal }
      const path = join(uploadsDir, `${volumeId}.${newUuid()}`)
      try {
        await mkdir(uploadsDir, { recursive: true, mode: 0o711 })
        const volume = { volumeId, driver: volumes.driverOf(backend) }
        return await recodeVolume(volume, { becomes, path, making }, (write) =>
          volumes.revert(args, { kind: "file", write }, signal),
        )
      } finally {
        await rm(path, { force: true })
      }
    })
  }

  /** The volume is held until its data are in the file, and not until they are in the store. */
  async upload(args: Args<"volume.upload">, signal: AbortSignal): Promise<Record<string, never>> {
    const { volumeId, imageId, ticket } = args
    const { context, store, uploadsDir } = this.#options
    if (!isUuid(imageId)) throw invalid("imageId", "An id of an image is a UUID.")
    const diskFormat = checkImageFormat(args.diskFormat)
    const path = join(uploadsDir, `${imageId}.${newUuid()}`)
    return await this.#uploads.run(imageId, async () => {
      const from = { sourceId: volumeId, name: imageId, volumeIds: [], signal }
      try {
        await mkdir(uploadsDir, { recursive: true, mode: 0o711 })
        await this.#withVolume(from, (take) =>
          context.volumes.copyOut(args, { path, diskFormat, take }, signal),
        )
        signal.throwIfAborted()
        await store.store(imageId, ticket, path, { signal })
      } finally {
        await rm(path, { force: true })
      }
      return {}
    })
  }

  /** As an upload; the file is gone when the store has what it wants of it. */
  async backup(args: Args<"volume.backup">, signal: AbortSignal): Promise<Record<string, never>> {
    const { chunkBytes, dataId, ticket, volumeId } = args
    const { backups: store, context, uploadsDir } = this.#options
    if (!isUuid(dataId)) throw invalid("dataId", "An id of a backup's data is a UUID.")
    const path = join(uploadsDir, `${dataId}.${newUuid()}`)
    return await this.#uploads.run(dataId, async () => {
      const from = { sourceId: volumeId, name: dataId, volumeIds: [], signal }
      try {
        await mkdir(uploadsDir, { recursive: true, mode: 0o711 })
        await this.#withVolume(from, (take) =>
          context.volumes.copyOut(args, { path, diskFormat: "raw", take }, signal),
        )
        const tell = (percent: number) =>
          context.log.info({ volumeId, dataId, percent }, "data of a volume go to the store of backups")
        await sendFile(path, { store, access: { dataId, ticket }, chunkBytes, signal, tell })
      } finally {
        await rm(path, { force: true })
      }
      return {}
    })
  }

  async restore(args: Args<"volume.restore">, signal: AbortSignal): Promise<VolumeFacts> {
    const { volumeId, backend } = args
    const { volumes } = this.#options.context
    return await volumes.hold([checkVolumeId(volumeId)], async () => {
      const has = await volumes.driverOf(backend).inspect(volumeId)
      if (!has) throw agentVolumeNotFound(volumeId)
      return await volumes.revert(args, this.#fetching(args, has.sizeBytes, signal), signal)
    })
  }

  #fetching({ dataId, ticket }: BackupAccess, bytesMost: number, signal: AbortSignal): FileOrigin {
    if (!isUuid(dataId)) throw invalid("dataId", "An id of a backup's data is a UUID.")
    const from = { store: this.#options.backups, access: { dataId, ticket }, bytesMost, signal }
    return { kind: "file", write: (path) => fetchFile(path, from) }
  }

  /** The image, or nothing, as it is in an encrypted volume. */
  async #inLuks(volumeId: string, image: ImageOrigin | null, signal: AbortSignal): Promise<FileOrigin> {
    const key = await this.#options.context.volumeKeys.of(volumeId)
    const making = { keysDir: this.#keysDir, key, signal }
    return {
      ...{ kind: "encrypted", image },
      write: async (path) => {
        if (image) await writeLuksImage(path, await image.open(), making)
        else await writeLuksHeader(path, making)
      },
    }
  }

  get #keysDir(): string {
    return volatileDirectory(`${this.#options.uploadsDir}/keys`)
  }

  /** What an agent that was killed has left. Before commands are taken. */
  async removeLeftovers(): Promise<void> {
    for (const left of [this.#options.uploadsDir, this.#keysDir])
      await rm(left, { recursive: true, force: true })
    await this.#options.context.volumes.removeLeftovers()
  }

  async idle(): Promise<void> {
    await this.#uploads.idle()
  }

  /** The cache keeps the image until `task` is over. */
  async #withImage<T>(
    { imageId, checksum, diskFormat }: Extract<VolumeSource, { kind: "image" }>,
    tickets: ImageTickets | undefined,
    task: (origin: ImageOrigin) => Promise<T>,
  ): Promise<T> {
    const { context } = this.#options
    const request = { imageId, checksum, diskFormat }
    context.imagesBeingRead.add(request)
    try {
      const open = () =>
        context.images.ensureImage({ ...request, ticket: tickets?.[imageId] }, () => imagesInUse(context))
      return await task({ kind: "image", open })
    } finally {
      context.imagesBeingRead.delete(request)
    }
  }

  /** As `#withVolumes`, for one source. */
  async #withVolume<T>(
    from: { sourceId: string; name: string; volumeIds: readonly string[]; signal: AbortSignal },
    task: (take: TakeCopy) => Promise<T>,
  ): Promise<T> {
    const { sourceId: volumeId, name, volumeIds, signal } = from
    return await this.#withVolumes({ sourceIds: [volumeId], volumeIds }, (serverId, leave) =>
      task(async (copy) => {
        signal.throwIfAborted()
        const { to } = copy
        if (to.kind === "moment") {
          await copy.copyStill()
          return leave()
        }
        const [running] = await this.#begin(serverId, [{ ...copy, to, volumeId, name, signal }])
        leave()
        await running?.end()
      }),
    )
  }

  /**
   * Holds the sources, and these volumes beside them, and their machine's queue until `leave` is called. Null: no
   * machine has to do with them.
   */
  async #withVolumes<T>(
    from: { sourceIds: readonly string[]; volumeIds: readonly string[] },
    task: (serverId: string | null, leave: () => void) => Promise<T>,
  ): Promise<T> {
    const { volumes } = this.#options.context
    const { sourceIds } = from
    const ids = [...sourceIds.map(checkVolumeId), ...from.volumeIds]
    if (new Set(ids).size < ids.length) throw invalid("volumeId", "A volume is not made from itself.")
    for (let left = triesMost; left > 0; left--) {
      const serverId = this.#holderOf(sourceIds)
      const done = await this.#inQueueOf(serverId, (leave) =>
        volumes.hold(ids, async () => {
          // They were given or taken while this waited.
          if (this.#holderOf(sourceIds) !== serverId) return null
          return { result: await task(serverId, leave) }
        }),
      )
      if (done) return done.result
    }
    throw agentVolumeBusy(sourceIds.join(", "))
  }

  #holderOf(sourceIds: readonly string[]): string | null {
    const { volumes } = this.#options.context
    const holders = new Set<string>()
    for (const id of sourceIds) {
      const [holder, other] = volumes.holdersOf(id)
      if (other !== undefined) throw agentVolumeShared(id)
      if (holder !== undefined) holders.add(holder)
    }
    if (holders.size > 1) throw agentVolumesApart([...holders])
    const [serverId = null] = holders
    return serverId
  }

  async #begin(serverId: string | null, copies: readonly WantedCopy[]): Promise<readonly RunningCopy[]> {
    const { context } = this.#options
    const { hypervisor } = context
    if (serverId === null || !canPlugVolumes(hypervisor))
      return copies.map(({ copyStill }) => ({ end: copyStill }))
    const handle = handleOf(context, serverId, context.machines.get(serverId))
    return await hypervisor.copyVolumes(handle, copies)
  }

  /** The queue is left when `leave` is called, or at the end. Null: no machine has to do with it. */
  async #inQueueOf<T>(serverId: string | null, task: (leave: () => void) => Promise<T>): Promise<T> {
    if (serverId === null) return await task(() => {})
    let whole: Promise<T> | undefined
    const left = Promise.withResolvers<void>()
    await this.#options.machines.run(serverId, async () => {
      whole = task(left.resolve)
      // How it fails is for whoever waits for the whole of it.
      await Promise.race([left.promise, whole.catch(() => {})])
    })
    if (!whole) throw new Error("unreachable: the queue has run the task")
    return await whole
  }
}

/** Copies that begin when all who take part have come. */
class Together {
  readonly #count: number
  readonly #begin: (copies: readonly WantedCopy[]) => Promise<readonly RunningCopy[]>
  readonly #come: WantedCopy[] = []
  readonly #running = Promise.withResolvers<readonly RunningCopy[]>()

  constructor(count: number, begin: (copies: readonly WantedCopy[]) => Promise<readonly RunningCopy[]>) {
    this.#count = count
    this.#begin = begin
    // Whoever waits is told; there may be nobody.
    this.#running.promise.catch(() => {})
  }

  join(wanted: Pick<WantedCopy, "volumeId" | "name" | "signal">): TakeCopy {
    return async (copy) => {
      wanted.signal.throwIfAborted()
      const { to } = copy
      if (to.kind === "moment")
        throw new Error("a back end that keeps moments itself makes no groups of them")
      const place = this.#come.push({ ...copy, to, ...wanted }) - 1
      if (this.#come.length === this.#count) this.#running.resolve(this.#begin(this.#come))
      await (await this.#running.promise)[place]?.end()
    }
  }

  /** One does not come. */
  fail(error: unknown): void {
    this.#running.reject(error)
  }
}

/** Ends when all have ended; the first failure ends the others and is what is thrown. */
async function allOrNone(
  tasks: readonly Promise<void>[],
  onFailure: (error: unknown) => void,
): Promise<void> {
  const failures: unknown[] = []
  await Promise.all(
    tasks.map((task) =>
      task.catch((error: unknown) => {
        if (failures.push(error) === 1) onFailure(error)
      }),
    ),
  )
  if (failures.length > 0) throw failures[0]
}
