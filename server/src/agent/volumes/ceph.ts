// Ceph's own programs, each with a time limit: they wait for minutes when the cluster is away.
import { ExecError, type ExecResult, exec } from "../../platform/exec/exec.ts"
import { backendAway } from "./backend-away.ts"

export interface CephAccess {
  pool: string
  user: string
  keyringFile: string
  configFile: string
}

export interface Monitor {
  host: string
  port: string
}

interface MonitorMap {
  fsid: string
  mons: { public_addrs: { addrvec: { type: string; addr: string }[] } }[]
}

const timeoutMs = 30_000
/** Exit codes of `rbd` are the kernel's numbers of errors. */
export const cephErrors = { missing: 2, busy: 16, full: 39 } as const

export class Ceph {
  readonly #name: string
  readonly #access: CephAccess
  #clusterId: string | undefined

  constructor(name: string, access: CephAccess) {
    this.#name = name
    this.#access = access
  }

  /** Errors of these numbers are answers; all others are faults of the back end. */
  async rbd(
    args: readonly string[],
    { okCodes = [], ...more }: { okCodes?: readonly number[]; signal?: AbortSignal; timeoutMs?: number } = {},
  ): Promise<ExecResult> {
    const result = await this.#run("rbd", args, { okCodes: [0, ...okCodes], ...more })
    // As when an image is missing; nothing is known of the images then.
    if (result.exitCode === cephErrors.missing && /opening (default )?pool/.test(result.stderr))
      throw backendAway(this.#name, `Ceph has no pool ${this.#access.pool}`)
    return result
  }

  async capacity(): Promise<{ totalBytes: number; freeBytes: number }> {
    const { stdout } = await this.#run("ceph", ["df", "--format", "json"])
    // By ceph df.
    const { pools } = JSON.parse(stdout) as {
      pools: { name: string; stats: { bytes_used: number; stored: number; max_avail: number } }[]
    }
    const stats = pools.find(({ name }) => name === this.#access.pool)?.stats
    if (!stats) throw backendAway(this.#name, `Ceph has no pool ${this.#access.pool}`)
    return { totalBytes: stats.stored + stats.max_avail, freeBytes: stats.max_avail }
  }

  /** The cluster's own id. */
  async clusterId(): Promise<string> {
    this.#clusterId ??= (await this.#monitorMap()).fsid
    return this.#clusterId
  }

  /** Where QEMU finds the cluster. */
  async monitors(): Promise<Monitor[]> {
    const { mons } = await this.#monitorMap()
    return mons.flatMap(({ public_addrs: { addrvec } }) => {
      const { addr } = addrvec.find(({ type }) => type === "v2") ?? addrvec[0] ?? {}
      const at = addr?.lastIndexOf(":") ?? -1
      return addr === undefined || at < 0 ? [] : [{ host: addr.slice(0, at), port: addr.slice(at + 1) }]
    })
  }

  async #monitorMap(): Promise<MonitorMap> {
    const { stdout } = await this.#run("ceph", ["mon", "dump", "--format", "json"])
    // By ceph mon dump.
    return JSON.parse(stdout) as MonitorMap
  }

  async key(): Promise<string> {
    const { keyringFile, user } = this.#access
    const { stdout } = await this.#run("ceph-authtool", [
      "--print-key",
      "--name",
      `client.${user}`,
      keyringFile,
    ])
    return stdout.trim()
  }

  async #run(program: string, args: readonly string[], options: Parameters<typeof exec>[2] = {}) {
    const { configFile, user, keyringFile } = this.#access
    const who = ["--conf", configFile, "--id", user, "--keyring", keyringFile]
    try {
      return await exec(program, [...(program === "ceph-authtool" ? [] : who), ...args], {
        timeoutMs,
        env: withoutCephArgs,
        ...options,
      })
    } catch (cause) {
      if (!(cause instanceof ExecError)) throw cause
      options.signal?.throwIfAborted()
      throw backendAway(this.#name, cause)
    }
  }
}

/** What is configured counts, and not what the surroundings say to every program of Ceph's. */
const withoutCephArgs = { ...process.env, CEPH_ARGS: undefined, CEPH_CONF: undefined }
