// Volumes as files in a directory that other hosts mount too. The mount is the operator's (fstab, systemd), with
// options of his choice; the driver only looks. Nothing is written to the empty directory below a mount that is
// missing, and a server that hangs is known from a program that can be ended, before this process hangs at it itself.
//
// A volume's commands all come to one host at a time, as the cloud's row of it says; QEMU's locks keep two machines
// apart.
import { readFileSync } from "node:fs"
import { exec } from "../../platform/exec/exec.ts"
import { backendAway } from "./backend-away.ts"
import { FileVolumeDriver } from "./file-driver.ts"
import { shareIdOf } from "./share-id.ts"
import type { VolumeDriver } from "./volume-driver.ts"

export interface NfsVolumeOptions {
  name: string
  /** Where it is mounted, without symbolic links. */
  directory: string
  /** What is to be mounted there (`server:/export`); null: anything. */
  source: string | null
  /** Keeps its unfinished data apart from those of others. */
  host: string
  /** How long the server may take to answer. */
  timeoutMs?: number
}

const defaultTimeoutMs = 5_000

export class NfsVolumeDriver implements VolumeDriver {
  readonly name: string
  readonly abilities = {
    ...{ thinProvisioning: true, onlineExtend: true, shared: true },
    ...{ consistentGroups: true, multiAttach: true },
    protocol: "nfs",
  }
  readonly #options: NfsVolumeOptions
  readonly #files: FileVolumeDriver

  constructor(options: NfsVolumeOptions) {
    this.#options = options
    this.name = options.name
    const { directory, host, name } = options
    this.#files = new FileVolumeDriver(directory, { name, temporary: `@${host}.tmp` })
  }

  async capacity(): ReturnType<VolumeDriver["capacity"]> {
    return await this.#mounted(async () => {
      const share = `nfs:${await shareIdOf(this.#options.directory)}`
      return { ...(await this.#ask()), share }
    })
  }

  create: VolumeDriver["create"] = (...args) => this.#mounted(() => this.#files.create(...args))
  extend: VolumeDriver["extend"] = (...args) => this.#mounted(() => this.#files.extend(...args))
  revert: VolumeDriver["revert"] = (...args) => this.#mounted(() => this.#files.revert(...args))
  copyOut: VolumeDriver["copyOut"] = (...args) => this.#mounted(() => this.#files.copyOut(...args))
  delete: VolumeDriver["delete"] = (...args) => this.#mounted(() => this.#files.delete(...args))
  setAside: VolumeDriver["setAside"] = (...args) => this.#mounted(() => this.#files.setAside(...args))
  inspect: VolumeDriver["inspect"] = (...args) => this.#mounted(() => this.#files.inspect(...args))
  list: VolumeDriver["list"] = () => this.#mounted(() => this.#files.list())
  open: VolumeDriver["open"] = (...args) => this.#mounted(() => this.#files.open(...args))
  removeLeftovers: VolumeDriver["removeLeftovers"] = () => this.#mounted(() => this.#files.removeLeftovers())

  /** What was done while the mount came or went was perhaps done below it, so it has failed. */
  async #mounted<T>(task: () => Promise<T>): Promise<T> {
    const before = this.#mountId()
    await this.#ask()
    const result = await task()
    if (this.#mountId() !== before) throw backendAway(this.name, "it was mounted anew meanwhile")
    return result
  }

  /** From the kernel's own table, for which nobody asks the server. */
  #mountId(): string {
    const { directory, source } = this.#options
    const mount = mountAt(directory)
    if (!mount) throw backendAway(this.name, `nothing is mounted at ${directory}`)
    if (source !== null && mount.source !== source)
      throw backendAway(this.name, `${mount.source} is mounted at ${directory}, and not ${source}`)
    return mount.id
  }

  async #ask(): ReturnType<VolumeDriver["capacity"]> {
    const { directory, timeoutMs = defaultTimeoutMs } = this.#options
    const asked = exec("stat", ["--file-system", "--format=%S %b %a", "--", directory], { timeoutMs })
    const { stdout } = await asked.catch((cause: unknown) => {
      throw backendAway(this.name, cause)
    })
    const [bytes = 0, blocks = 0, available = 0] = stdout.split(" ").map(Number)
    return { totalBytes: bytes * blocks, freeBytes: bytes * available }
  }
}

/** The one on top, when there are several. */
function mountAt(directory: string): { id: string; source: string } | undefined {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").trim().split("\n").map(readMount)
  return mounts.findLast(({ at }) => at === directory)
}

/** `ID PARENT MAJOR:MINOR ROOT AT OPTIONS [MORE ...] - TYPE SOURCE OPTIONS`; blanks and such are octal. */
function readMount(line: string): { id: string; at: string; source: string } {
  const [first = "", second = ""] = line.split(" - ")
  const [id = "", , , , at = ""] = first.split(" ")
  const [, source = ""] = second.split(" ")
  return { id, at: unescaped(at), source: unescaped(source) }
}

const unescaped = (text: string) =>
  text.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
