// Volumes as files of this host that machines of other hosts reach by iSCSI, and those of other hosts that machines
// here reach. A machine of this host opens the file itself. A volume is one host's at a time: whoever else wants it is
// refused while that one is logged in.
//
//   <volumeId>/export.json     to which host it is given, with the secret; tgtd forgets at each start, and is told again
//   <dir>/reached/<volumeId>   what this host was told of another host's volume, and the secret in a file for QEMU
//
// Whatever changes a volume, or copies it, takes it off tgtd for the time: then nobody can log in meanwhile.
import { createHash, randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { chown, mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import { invalid } from "../../platform/fault/fault.ts"
import { agentFenceStale, agentVolumeBusy, agentVolumeConnected, agentVolumeNotFound } from "../faults.ts"
import type { LocalVolume } from "../hypervisor/hypervisor.ts"
import type { Fence, VolumeConnection } from "../protocol.ts"
import { readStateFile, removeStateFile, writeSecretFile, writeStateFile } from "../state-file.ts"
import { backendAway } from "./backend-away.ts"
import { FileVolumeDriver } from "./file-driver.ts"
import { exportedLun, Tgt, userOf } from "./tgt.ts"
import type { ExportWish, UnmanagedData, VolumeDriver, VolumeExports, VolumeOrigin } from "./volume-driver.ts"
import { isVolumeId } from "./volume-id.ts"

export interface IscsiVolumeOptions {
  name: string
  /** Of the volumes. */
  directory: string
  /** Of what lies on other hosts. */
  reachedDir: string
  /** Null: this host gives nothing, and keeps no volumes of its own here. */
  target: IscsiTarget | null
}

export interface IscsiTarget {
  /** Where other hosts reach it: `10.1.0.5:3260`. */
  portal: string
  /** Of tgtd's control. */
  socketPath: string
  /** tgtd's; null: this process's own. */
  user: { uid: number; gid: number } | null
}

interface ExportRecord {
  /** The latest command's. */
  fence: Fence
  host: string
  initiator: string
  hold?: string
  secret: string
}

const iqn = "iqn.2026-01.cloud.kumoi"
const targetOf = (volumeId: string) => `${iqn}:volume-${volumeId}`
/** Hosts' names are longer than initiators' may be, and of other letters. */
const initiatorOf = (host: string) =>
  `${iqn}:host-${createHash("sha256").update(host).digest("hex").slice(0, 32)}`
/** What tgtd takes for a part of a name, and for nothing else. */
const initiatorForm = /^(iqn|eui|naa)\.[A-Za-z0-9.:-]{1,218}$/
/** RFC 7143 wants 96 bits at least; letters alone, as tgtd takes a comma for an end. */
const secretBytes = 24

export class IscsiVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly abilities = {
    ...{ thinProvisioning: true, onlineExtend: true, shared: false },
    ...{ consistentGroups: true, multiAttach: true },
    protocol: "iSCSI",
  }
  readonly exports: VolumeExports
  readonly unmanaged: UnmanagedData
  readonly #options: IscsiVolumeOptions
  readonly #files: FileVolumeDriver
  readonly #tgt: Tgt | null
  /** Nobody else's while something is done to them, also when tgtd starts again meanwhile. */
  readonly #apartNow = new Set<string>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: IscsiVolumeOptions) {
    const { directory, name } = options
    this.#options = options
    this.name = name
    this.#tgt = options.target && new Tgt({ name, ...options.target })
    this.#files = new FileVolumeDriver(directory, { name })
    const { unmanaged } = this.#files
    this.unmanaged = {
      list: () => unmanaged.list(),
      take: (...args) => unmanaged.take(...args),
      leave: (volumeId, ...more) => this.#forgotten(volumeId, () => unmanaged.leave(volumeId, ...more)),
    }
    this.exports = {
      connect: (volumeId, wish) => this.#connect(volumeId, wish),
      disconnect: (volumeId, fence) => this.#disconnect(volumeId, fence),
      reach: (volumeId, ask) => this.#reach(volumeId, ask),
      forgetReached: (isKept) => this.#forgetReached(isKept),
    }
  }

  get target(): IscsiTarget | null {
    return this.#options.target
  }

  async capacity(): ReturnType<VolumeDriver["capacity"]> {
    const connects = this.name
    if (!this.#options.target) return { totalBytes: 0, freeBytes: 0, connects }
    return { ...(await this.#files.capacity()), connects }
  }

  async create(
    volumeId: string,
    sizeBytes: number,
    origin: VolumeOrigin | null,
    signal: AbortSignal,
  ): ReturnType<VolumeDriver["create"]> {
    const make = () => this.#files.create(volumeId, sizeBytes, origin, signal)
    return await (origin?.kind === "volume" ? this.#apart(origin.volumeId, make) : make())
  }

  async revert(
    volumeId: string,
    origin: VolumeOrigin,
    signal: AbortSignal,
  ): ReturnType<VolumeDriver["revert"]> {
    const make = () => this.#files.revert(volumeId, origin, signal)
    return await this.#apart(volumeId, () =>
      origin.kind === "volume" ? this.#apart(origin.volumeId, make) : make(),
    )
  }

  /** tgtd goes on with the size that it has seen. */
  extend: VolumeDriver["extend"] = (volumeId, ...args) =>
    this.#apart(volumeId, () => this.#files.extend(volumeId, ...args))
  copyOut: VolumeDriver["copyOut"] = (volumeId, ...args) =>
    this.#apart(volumeId, () => this.#files.copyOut(volumeId, ...args))
  delete: VolumeDriver["delete"] = (volumeId) => this.#ended(volumeId, () => this.#files.delete(volumeId))
  setAside: VolumeDriver["setAside"] = (volumeId) =>
    this.#ended(volumeId, () => this.#files.setAside(volumeId))
  inspect: VolumeDriver["inspect"] = (volumeId) => this.#files.inspect(volumeId)
  list: VolumeDriver["list"] = () => this.#files.list()
  /** For a machine of this host: from now on it is no other's. */
  open: VolumeDriver["open"] = (volumeId) => this.#forgotten(volumeId, () => this.#files.open(volumeId))
  /** Files that are given to others are tgtd's user's again before it opens them anew. */
  removeLeftovers: VolumeDriver["removeLeftovers"] = async () => {
    await this.#files.removeLeftovers()
    for (const volumeId of await this.#exported()) await this.#lend(volumeId)
  }

  /** tgtd has just started. Says which volumes it could not be given: they keep none of the others from it. */
  async tellTgtd(): Promise<{ volumeId: string; error: unknown }[]> {
    const { target } = this.#options
    if (!target) return []
    const tgt = this.#mustHaveTgt()
    await this.#inTurn(() => tgt.begin())
    const failed: { volumeId: string; error: unknown }[] = []
    for (const volumeId of await this.#exported())
      await this.#inTurn(() => this.#give(volumeId)).catch((error: unknown) =>
        failed.push({ volumeId, error }),
      )
    // Last, so that a machine that comes back finds its volume there.
    await this.#inTurn(() => tgt.listen(target.portal))
    return failed
  }

  async #connect(
    volumeId: string,
    { host, initiator = initiatorOf(host), hold, fence }: ExportWish,
  ): Promise<VolumeConnection> {
    if (!initiatorForm.test(initiator)) throw invalid("initiator", "It is the name of an iSCSI initiator.")
    const portal = this.target?.portal
    if (portal === undefined) throw agentVolumeNotFound(volumeId)
    if (!(await this.#files.inspect(volumeId))) throw agentVolumeNotFound(volumeId)
    const secret = await this.#inTurn(async () => {
      const known = this.#record(volumeId)
      if (known && isOlder(fence, known.fence)) throw agentFenceStale(volumeId)
      const isSame = known?.host === host && known.initiator === initiator && known.hold === hold
      const isOver = known?.hold !== undefined && known.hold !== hold
      if (isOver) await this.#mustHaveTgt().remove(targetOf(volumeId), { force: true })
      else if (known && !isSame) await this.#takeOff(volumeId)
      const record: ExportRecord = {
        ...{ fence, host, initiator, ...(hold === undefined ? {} : { hold }) },
        secret: isSame ? known.secret : randomBytes(secretBytes).toString("hex"),
      }
      await writeStateFile(this.#recordFile(volumeId), record)
      await this.#give(volumeId)
      return record.secret
    })
    const target = targetOf(volumeId)
    return {
      ...{ kind: "iscsi", portal, target, lun: exportedLun },
      ...{ user: userOf(target), secret, initiator },
    }
  }

  /** Also of one that is logged in: whoever says so says that nobody has it. */
  async #disconnect(volumeId: string, fence: Fence): Promise<void> {
    await this.#inTurn(async () => {
      const known = this.#record(volumeId)
      if (!known) return
      if (isOlder(fence, known.fence)) throw agentFenceStale(volumeId)
      await this.#mustHaveTgt().remove(targetOf(volumeId), { force: true })
      await this.#forget(volumeId)
    })
  }

  async #reach(volumeId: string, ask: () => Promise<VolumeConnection>): Promise<LocalVolume> {
    const file = join(this.#options.reachedDir, volumeId)
    const told = (await ask().catch((error: unknown) => {
      // A host that starts again before its cloud does: what it was told last is right, or is refused by the other one.
      const before = readStateFile(file)
      if (before === undefined || !isUnavailable(error)) throw error
      return before
    })) as VolumeConnection
    await writeStateFile(file, told)
    const keyFile = `${file}.secret`
    await writeSecretFile(keyFile, Buffer.from(told.secret).toString("base64"))
    const { portal, target, lun, user, initiator } = told
    return { kind: "iscsi", portal, target, lun, user, initiator, keyFile }
  }

  async #forgetReached(isKept: (volumeId: string) => boolean): Promise<void> {
    const { reachedDir } = this.#options
    for (const name of (await readdir(reachedDir).catch(ifMissing)) ?? []) {
      if (!isKept(name.replace(/\.secret$/, ""))) await rm(join(reachedDir, name), { force: true })
    }
  }

  /** The volume is nobody else's while `task` runs, and then again whose it was. */
  async #apart<T>(volumeId: string, task: () => Promise<T>): Promise<T> {
    if (!this.#record(volumeId)) return await task()
    this.#apartNow.add(volumeId)
    try {
      await this.#inTurn(() => this.#takeOff(volumeId))
      return await task()
    } finally {
      this.#apartNow.delete(volumeId)
      await this.#inTurn(() => this.#give(volumeId))
    }
  }

  /** The volume is no other host's any more. */
  async #forgotten<T>(volumeId: string, task: () => Promise<T>): Promise<T> {
    await this.#inTurn(async () => {
      if (!this.#record(volumeId)) return
      await this.#takeOff(volumeId)
      await this.#forget(volumeId)
    })
    return await task()
  }

  /** Nobody is to have it any more, and whoever is logged in still is cut off soon: it is tried again. */
  async #ended<T>(volumeId: string, task: () => Promise<T>): Promise<T> {
    return await this.#forgotten(volumeId, task).catch((error: unknown) => {
      throw agentVolumeConnected.is(error)
        ? Object.assign(agentVolumeBusy(volumeId), { cause: error })
        : error
    })
  }

  /** What tgtd is told, and why, changes one at a time. */
  async #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task, task)
    this.#last = done.catch(() => {})
    return await done
  }

  // These three: in turn.

  /** Throws while somebody is logged in. */
  async #takeOff(volumeId: string): Promise<void> {
    if (!(await this.#mustHaveTgt().remove(targetOf(volumeId)))) throw agentVolumeConnected(volumeId)
  }

  /** tgtd has it no more. The record goes last: until then whoever is killed does it again. */
  async #forget(volumeId: string): Promise<void> {
    await this.#lend(volumeId, { isBack: true })
    await removeStateFile(this.#recordFile(volumeId))
  }

  /** To the host that its record names. Repeatable. */
  async #give(volumeId: string): Promise<void> {
    if (this.#apartNow.has(volumeId)) return
    const record = this.#record(volumeId)
    if (!record) return
    const path = await this.#lend(volumeId)
    if (path === null) return
    const target = targetOf(volumeId)
    const { initiator, secret } = record
    await this.#mustHaveTgt().add({ target, path, initiator, user: userOf(target), secret })
  }

  /** tgtd is not root: what it opens is its user's. Null: there are no data. */
  async #lend(volumeId: string, { isBack = false } = {}): Promise<string | null> {
    if (!(await this.#files.inspect(volumeId))) return null
    const opened = await this.#files.open(volumeId)
    if (opened.kind !== "file") throw new Error("volumes of this back end are files")
    const user = this.#options.target?.user
    const [uid, gid] = isBack ? [process.getuid?.() ?? 0, process.getgid?.() ?? 0] : [user?.uid, user?.gid]
    if (user && uid !== undefined && gid !== undefined) await chown(opened.path, uid, gid)
    return opened.path
  }

  async #exported(): Promise<string[]> {
    await mkdir(this.#options.directory, { recursive: true, mode: 0o711 })
    const names = await readdir(this.#options.directory)
    return names.filter((name) => isVolumeId(name) && existsSync(this.#recordFile(name)))
  }

  /** A volume was given to somebody when its host gave some; it was configured otherwise since. */
  #mustHaveTgt(): Tgt {
    if (!this.#tgt)
      throw backendAway(this.name, "no portal is configured, and volumes are given to other hosts")
    return this.#tgt
  }

  #record(volumeId: string): ExportRecord | undefined {
    // Written by `#connect`.
    return readStateFile(this.#recordFile(volumeId)) as ExportRecord | undefined
  }

  #recordFile(volumeId: string): string {
    if (!isVolumeId(volumeId)) throw new Error(`not a volume's id: ${volumeId}`)
    return join(this.#options.directory, volumeId, "export.json")
  }
}

function isOlder(a: Fence, b: Fence): boolean {
  const [epochs, generations] = [(a.epoch ?? 0) - (b.epoch ?? 0), a.generation - b.generation]
  return (epochs || generations) < 0
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Error && "kind" in error && error.kind === "unavailable"
}

function ifMissing(error: unknown): undefined {
  if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
  throw error
}
