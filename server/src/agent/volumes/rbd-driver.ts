// Volumes as images of a Ceph pool. Copies are clones: they take no time and no room, also of a volume in use, and
// share what neither has written since with the image that they are of.
//
//   volume-<id>            the volume; whole when the image has this name
//   making.<host>.<id>     on its way; <host> removes its own when its agent starts
//   ready.<host>.<id>      whole, and about to take the place of volume-<id>, which a revert has put away
//   deleted.<any>          no volume any more; there until the last clone of it is gone, and whoever had it open
//   aside.<id>.<any>       kept out of the way
//
// Hosts share the pool. A volume's commands all come to one host at a time, as the cloud's row of it says.
import { mkdir, open, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { newUuid } from "../../platform/ids/ids.ts"
import { agentVolumeExists, agentVolumeNotFound, agentVolumeTooSmall } from "../faults.ts"
import type { LocalImage, LocalVolume } from "../hypervisor/hypervisor.ts"
import { keySecret, rbdNode } from "../hypervisor/qemu/remote-volume.ts"
import type { VolumeFacts } from "../protocol.ts"
import { writeSecretFile } from "../state-file.ts"
import { backendAway } from "./backend-away.ts"
import { Ceph, type CephAccess, cephErrors } from "./ceph.ts"
import { copyTimeoutMs, nodeToImage, toNode } from "./copy-data.ts"
import {
  type FileOrigin,
  isFileOrigin,
  type TakeCopy,
  type VolumeDriver,
  type VolumeOrigin,
} from "./volume-driver.ts"
import { isVolumeId } from "./volume-id.ts"

export interface RbdVolumeOptions extends CephAccess {
  name: string
  host: string
  /** For the key by which QEMU opens volumes. */
  dir: string
}

/** A clone of a clone of ...: each is one more place to look for what was never written. */
const parentsMost = 4
const features = "layering,exclusive-lock,object-map,fast-diff,deep-flatten"
const idLength = 36
const volumePrefix = "volume-"
const deletedPrefix = "deleted."

interface ImageInfo {
  size: number
  parent?: { pool: string; image: string }
}

export class RbdVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly abilities = { thinProvisioning: true, onlineExtend: true, shared: true, protocol: "ceph" }
  readonly #options: RbdVolumeOptions
  readonly #ceph: Ceph
  /** Images that somebody had open or cloned when they were deleted. */
  readonly #kept = new Set<string>()

  constructor(options: RbdVolumeOptions) {
    this.#options = options
    this.name = options.name
    this.#ceph = new Ceph(options.name, options)
  }

  async capacity(): ReturnType<VolumeDriver["capacity"]> {
    const share = `rbd:${await this.#ceph.clusterId()}/${this.#options.pool}`
    return { ...(await this.#ceph.capacity()), share }
  }

  async create(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<VolumeFacts> {
    const known = await this.inspect(volumeId)
    if (known && known.sizeBytes !== sizeBytes) throw agentVolumeExists(volumeId, known.sizeBytes)
    if (known) return known
    await this.#make(volumeId, sizeBytes, origin, signal)
    await this.#rename(this.#making(volumeId), imageOf(volumeId))
    return await this.#existing(volumeId)
  }

  async extend(volumeId: string, sizeBytes: number): Promise<VolumeFacts> {
    const facts = await this.#existing(volumeId)
    if (sizeBytes <= facts.sizeBytes) return facts
    await this.#resize(imageOf(volumeId), sizeBytes)
    return await this.#existing(volumeId)
  }

  async revert(
    volumeId: string,
    origin: Extract<VolumeOrigin, { kind: "volume" }>,
    signal: AbortSignal,
  ): Promise<VolumeFacts> {
    const { sizeBytes } = await this.#existing(volumeId)
    await this.#make(volumeId, sizeBytes, origin, signal)
    // From here on one of the two is whole at any moment, and `#settle` knows which.
    await this.#discard(this.#ready(volumeId))
    await this.#rename(this.#making(volumeId), this.#ready(volumeId))
    await this.#discard(imageOf(volumeId))
    return await this.#existing(volumeId)
  }

  async copyOut(
    volumeId: string,
    { path, diskFormat, take }: { path: string; diskFormat: string; take: TakeCopy },
    signal: AbortSignal,
  ): Promise<void> {
    await this.#existing(volumeId)
    const snapshot = `out-${newUuid()}`
    await using _file = await open(path, "wx", 0o600)
    try {
      await this.#takeMoment(volumeId, snapshot, take)
      const node = { ...rbdNode(await this.#access(imageOf(volumeId))), snapshot }
      await nodeToImage({ node, secret: keySecret(this.#keyFile) }, path, diskFormat, signal)
    } finally {
      await this.#dropMoment(volumeId, snapshot)
    }
  }

  async delete(volumeId: string): Promise<void> {
    await this.#settle(volumeId)
    await this.#discard(imageOf(volumeId))
    for (const image of [...this.#kept]) await this.#tryRemove(image)
  }

  async setAside(volumeId: string): Promise<void> {
    await this.#settle(volumeId)
    await this.#rename(imageOf(volumeId), `aside.${volumeId}.${newUuid()}`, { mayMiss: true })
  }

  async inspect(volumeId: string): Promise<VolumeFacts | null> {
    const image = imageOf(volumeId)
    return (await this.#facts(image)) ?? ((await this.#settle(volumeId)) ? await this.#facts(image) : null)
  }

  async list(): Promise<({ volumeId: string } & VolumeFacts)[]> {
    const found = await this.#usage([])
    return found.flatMap(({ name, ...facts }) => {
      const volumeId = name.slice(volumePrefix.length)
      return name.startsWith(volumePrefix) && isVolumeId(volumeId) ? [{ volumeId, ...facts }] : []
    })
  }

  async open(volumeId: string): Promise<LocalVolume> {
    await this.#existing(volumeId)
    return await this.#access(imageOf(volumeId))
  }

  async removeLeftovers(): Promise<void> {
    await rm(this.#filesDir, { recursive: true, force: true })
    for (const image of await this.#images()) {
      // The id is looked at, as the name of another host may begin as this one's.
      const volumeId = image.slice(-idLength)
      if (image === this.#making(volumeId) && isVolumeId(volumeId)) await this.#discard(image)
      else if (image === this.#ready(volumeId) && isVolumeId(volumeId)) await this.#endRevert(volumeId)
      else if (image.startsWith(deletedPrefix)) await this.#tryRemove(image)
    }
  }

  async #make(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): Promise<void> {
    const image = this.#making(volumeId)
    await this.#discard(image)
    try {
      if (origin?.kind === "volume") await this.#clone(volumeId, image, sizeBytes, origin, signal)
      else await this.#makeAnew(volumeId, image, sizeBytes, origin, signal)
    } catch (error) {
      await this.#discard(image)
      throw error
    }
  }

  async #makeAnew(
    volumeId: string,
    image: string,
    sizeBytes: number,
    origin: Exclude<VolumeOrigin, { kind: "volume" }> | null,
    signal: AbortSignal,
  ): Promise<void> {
    if (origin && isFileOrigin(origin))
      return await this.#makeOfFile({ volumeId, image, sizeBytes }, origin, signal)
    const data = await origin?.open()
    if (data) mustHold(volumeId, sizeBytes, data.virtualSizeBytes)
    const size = ["--size", `${sizeBytes}B`, "--image-feature", features]
    await this.#ceph.rbd(["create", ...size, this.#spec(image)])
    if (data) await this.#fill(image, data, signal)
  }

  /** As a backup comes in pieces, and LUKS is made in a file. */
  async #makeOfFile(
    { volumeId, image, sizeBytes }: { volumeId: string; image: string; sizeBytes: number },
    { write }: FileOrigin,
    signal: AbortSignal,
  ): Promise<void> {
    await mkdir(this.#filesDir, { recursive: true, mode: 0o700 })
    const path = join(this.#filesDir, newUuid())
    try {
      await writeFile(path, "", { mode: 0o600, flag: "wx" })
      await write(path)
      mustHold(volumeId, sizeBytes, (await stat(path)).size)
      const size = ["--size", `${sizeBytes}B`, "--image-feature", features]
      await this.#ceph.rbd(["create", ...size, this.#spec(image)])
      await this.#fill(image, { path, format: "raw", virtualSizeBytes: sizeBytes }, signal)
    } finally {
      await rm(path, { force: true })
    }
  }

  async #fill(image: string, data: LocalImage, signal: AbortSignal): Promise<void> {
    const node = rbdNode(await this.#access(image))
    await toNode(data, { node, secret: keySecret(this.#keyFile) }, signal)
  }

  async #clone(
    volumeId: string,
    image: string,
    sizeBytes: number,
    origin: Extract<VolumeOrigin, { kind: "volume" }>,
    signal: AbortSignal,
  ): Promise<void> {
    const from = await this.#existing(origin.volumeId)
    mustHold(volumeId, sizeBytes, from.sizeBytes)
    const snapshot = `for-${volumeId}`
    try {
      await this.#takeMoment(origin.volumeId, snapshot, origin.take)
      const moment = this.#spec(imageOf(origin.volumeId), snapshot)
      // Of the second kind, so that what a clone is of may be deleted before it.
      const kind = ["--rbd-default-clone-format", "2", "--image-feature", features]
      await this.#ceph.rbd(["clone", ...kind, moment, this.#spec(image)])
    } finally {
      await this.#dropMoment(origin.volumeId, snapshot)
    }
    if (sizeBytes > from.sizeBytes) await this.#resize(image, sizeBytes)
    if ((await this.#parentsOf(image)) > parentsMost) {
      await this.#ceph.rbd(["flatten", "--no-progress", this.#spec(image)], {
        signal,
        timeoutMs: copyTimeoutMs,
      })
    }
    signal.throwIfAborted()
  }

  /** A snapshot of the pool's own, of one moment, whoever has the volume open. */
  async #takeMoment(volumeId: string, snapshot: string, take: TakeCopy): Promise<void> {
    // Of an earlier try, and of another moment.
    await this.#dropMoment(volumeId, snapshot)
    const moment = this.#spec(imageOf(volumeId), snapshot)
    const copyStill = async () => void (await this.#ceph.rbd(["snap", "create", "--no-progress", moment]))
    await take({ to: { kind: "moment" }, copyStill, copyImage: copyStill })
  }

  /** What was cloned from it keeps it, without its name. */
  async #dropMoment(volumeId: string, snapshot: string): Promise<void> {
    const moment = this.#spec(imageOf(volumeId), snapshot)
    await this.#ceph.rbd(["snap", "rm", "--no-progress", moment], { okCodes: [cephErrors.missing] })
  }

  async #parentsOf(image: string): Promise<number> {
    let at = await this.#info(image)
    for (let count = 0; ; count++) {
      if (!at?.parent || count > parentsMost) return count
      at = at.parent.pool === this.#options.pool ? await this.#info(at.parent.image) : null
    }
  }

  /** When the data of before are still there, they are the volume's. */
  async #endRevert(volumeId: string): Promise<void> {
    await this.#settle(volumeId)
    await this.#discard(this.#ready(volumeId))
  }

  /** A revert was cut short when its data were whole, and those of before away: it ends now. True when that was so. */
  async #settle(volumeId: string): Promise<boolean> {
    const ready = this.#ready(volumeId)
    if (!(await this.#info(ready)) || (await this.#info(imageOf(volumeId)))) return false
    return await this.#rename(ready, imageOf(volumeId))
  }

  /** From now on it is no volume; its data go when nothing needs them any more. */
  async #discard(image: string): Promise<void> {
    const deleted = `${deletedPrefix}${newUuid()}`
    if (await this.#rename(image, deleted, { mayMiss: true })) await this.#tryRemove(deleted)
  }

  /** And what it was a clone of, when it was the last that kept it. */
  async #tryRemove(image: string): Promise<void> {
    for (let next: string | undefined = image; next?.startsWith(deletedPrefix); ) {
      const parent: string | undefined = (await this.#info(next))?.parent?.image
      const okCodes = [cephErrors.missing, cephErrors.busy, cephErrors.full]
      const args = ["--no-progress", this.#spec(next)]
      await this.#ceph.rbd(["snap", "purge", ...args], { okCodes })
      const { exitCode } = await this.#ceph.rbd(["rm", ...args], { okCodes })
      const isGone = exitCode === 0 || exitCode === cephErrors.missing
      if (isGone) this.#kept.delete(next)
      else if (exitCode === cephErrors.busy) this.#kept.add(next)
      next = isGone ? parent : undefined
    }
  }

  async #resize(image: string, sizeBytes: number): Promise<void> {
    await this.#ceph.rbd(["resize", "--no-progress", "--size", `${sizeBytes}B`, this.#spec(image)])
  }

  /** False: there is none of the name. */
  async #rename(from: string, to: string, { mayMiss = false } = {}): Promise<boolean> {
    const okCodes = mayMiss ? [cephErrors.missing] : []
    return (await this.#ceph.rbd(["rename", this.#spec(from), this.#spec(to)], { okCodes })).exitCode === 0
  }

  async #images(): Promise<string[]> {
    // By rbd ls.
    return JSON.parse(
      (await this.#ceph.rbd(["ls", "--format", "json", this.#options.pool])).stdout,
    ) as string[]
  }

  async #info(image: string): Promise<ImageInfo | null> {
    const asked = ["info", "--format", "json", this.#spec(image)]
    const { exitCode, stdout } = await this.#ceph.rbd(asked, { okCodes: [cephErrors.missing] })
    // By rbd info.
    return exitCode === 0 ? (JSON.parse(stdout) as ImageInfo) : null
  }

  async #facts(image: string): Promise<VolumeFacts | null> {
    const [{ name: _, ...facts } = { name: null }] = await this.#usage([image])
    return "sizeBytes" in facts ? (facts as VolumeFacts) : null
  }

  /** Of all images without a name; those of the pool's snapshots are left out. */
  async #usage([image]: readonly string[]): Promise<({ name: string } & VolumeFacts)[]> {
    const of = image === undefined ? ["--pool", this.#options.pool] : [this.#spec(image)]
    const okCodes = image === undefined ? [] : [cephErrors.missing]
    const { exitCode, stdout } = await this.#ceph.rbd(["du", "--format", "json", ...of], { okCodes })
    if (exitCode !== 0) return []
    // By rbd du.
    const { images } = JSON.parse(stdout) as {
      images: { name: string; snapshot?: string; provisioned_size: number; used_size: number }[]
    }
    return images
      .filter(({ snapshot }) => snapshot === undefined)
      .map(({ name, provisioned_size, used_size }) => ({
        name,
        sizeBytes: provisioned_size,
        allocatedBytes: used_size,
      }))
  }

  async #existing(volumeId: string): Promise<VolumeFacts> {
    const facts = await this.inspect(volumeId)
    if (!facts) throw agentVolumeNotFound(volumeId)
    return facts
  }

  async #access(image: string): Promise<Extract<LocalVolume, { kind: "rbd" }>> {
    const { pool, user } = this.#options
    const monitors = await this.#ceph.monitors()
    if (monitors.length === 0) throw backendAway(this.name, "Ceph names no monitors")
    await writeSecretFile(this.#keyFile, await this.#ceph.key())
    return { kind: "rbd", pool, image, user, monitors, keyFile: this.#keyFile }
  }

  /** Of data on their way to the pool. */
  get #filesDir(): string {
    return join(this.#options.dir, "files")
  }

  get #keyFile(): string {
    return join(this.#options.dir, "key")
  }

  #spec(image: string, snapshot?: string): string {
    return `${this.#options.pool}/${image}${snapshot === undefined ? "" : `@${snapshot}`}`
  }

  #making(volumeId: string): string {
    return `making.${this.#options.host}.${volumeId}`
  }

  #ready(volumeId: string): string {
    return `ready.${this.#options.host}.${volumeId}`
  }
}

function imageOf(volumeId: string): string {
  if (!isVolumeId(volumeId)) throw new Error(`not a volume's id: ${volumeId}`)
  return `${volumePrefix}${volumeId}`
}

function mustHold(volumeId: string, sizeBytes: number, needsBytes: number): void {
  if (sizeBytes < needsBytes) throw agentVolumeTooSmall(volumeId, sizeBytes, needsBytes)
}
