// Starts, watches and restarts the engines (PostgreSQL, OVN, HAProxy …) inside the data directory. An engine
// outlives a kill -9 of this process: its identity lies in `run/engines/NAME.json`, and the next start adopts it
// when it is the same command, or ends it and starts anew. No systemd unit is used.
//
//   stopped -> starting -> running -> (dies) -> backoff -> starting ...      any -> stopping -> stopped
import { type ChildProcess, spawn } from "node:child_process"
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { eventually } from "../clock/clock.ts"
import {
  endProcess,
  identifyProcess,
  isProcessAlive,
  type ProcessIdentity,
  processMemoryBytes,
  processTree,
} from "../exec/process.ts"
import type { Logger } from "../log/log.ts"

export interface EngineSpec {
  name: string
  command: string
  args: readonly string[]
  env?: Record<string, string>
  cwd?: string
  uid?: number
  gid?: number
  logFile: string
  /** True when it serves. Asked every 20 ms until `readyTimeoutMs`. */
  isReady: () => Promise<boolean>
  readyTimeoutMs?: number
  stopSignal?: NodeJS.Signals
  stopGraceMs?: number
  /** Runs before each start: remove stale sockets and pid files, create databases. Must be repeatable. */
  prepare?: () => Promise<void>
  /** Runs after each start that is ready, also after adoption: set what the engine forgets over a restart. */
  afterStart?: () => Promise<void>
}

export type EngineState = "stopped" | "starting" | "running" | "backoff" | "stopping"

export interface EngineStatus {
  name: string
  state: EngineState
  pid: number | null
  since: string | null
  restarts: number
  memoryBytes: number
  lastError: string | null
  logFile: string
}

interface Entry {
  spec: EngineSpec
  state: EngineState
  identity: ProcessIdentity | null
  child: ChildProcess | null
  since: Date | null
  restarts: number
  lastError: string | null
  timer: NodeJS.Timeout | null
}

const watchIntervalMs = 500
const backoffFirstMs = 100
const backoffMostMs = 15_000
/** A run longer than this forgets earlier failures. */
const stableAfterMs = 30_000

export class Supervisor {
  readonly #runDir: string
  readonly #log: Logger
  readonly #entries = new Map<string, Entry>()
  #onProgress: (line: string) => void = () => {}
  readonly #stableAfterMs: number
  #isEnding = false

  constructor(options: {
    runDir: string
    log: Logger
    onProgress?: (line: string) => void
    stableAfterMs?: number
  }) {
    this.#runDir = options.runDir
    this.#log = options.log
    this.#stableAfterMs = options.stableAfterMs ?? stableAfterMs
    if (options.onProgress) this.#onProgress = options.onProgress
    mkdirSync(join(this.#runDir, "engines"), { recursive: true, mode: 0o755 })
  }

  /** Starts the engine, or adopts the one that outlived us; resolves when it is ready. */
  async start(spec: EngineSpec): Promise<void> {
    const entry: Entry = {
      spec,
      state: "starting",
      identity: null,
      child: null,
      since: null,
      restarts: 0,
      lastError: null,
      timer: null,
    }
    this.#entries.set(spec.name, entry)
    const prior = this.#readState(spec)
    if (prior && isProcessAlive(prior.identity)) {
      if (prior.command === commandLine(spec) && (await ready(spec, 2_000))) {
        entry.identity = prior.identity
        this.#running(entry)
        this.#log.info({ engine: spec.name, pid: prior.identity.pid }, "engine adopted")
        await spec.afterStart?.()
        return
      }
      await endProcess(prior.identity, {
        graceMs: spec.stopGraceMs ?? 10_000,
        signal: spec.stopSignal ?? "SIGTERM",
      })
    }
    await this.#launch(entry)
  }

  async #launch(entry: Entry): Promise<void> {
    const { spec } = entry
    entry.state = "starting"
    // How long it ran is counted from when it is ready again; one that does not become ready did not run.
    entry.since = null
    this.#onProgress(`starting ${spec.name}`)
    await spec.prepare?.()
    // Stopped meanwhile: what starts now would outlive the stop.
    if (this.#isEnding || (entry.state as EngineState) !== "starting")
      throw new Error(`${spec.name} was stopped`)
    mkdirSync(dirname(spec.logFile), { recursive: true })
    const out = openSync(spec.logFile, "a", 0o640)
    try {
      const child = spawn(spec.command, spec.args, {
        detached: true,
        stdio: ["ignore", out, out],
        cwd: spec.cwd ?? "/",
        env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8", ...spec.env },
        ...(spec.uid === undefined ? {} : { uid: spec.uid }),
        ...(spec.gid === undefined ? {} : { gid: spec.gid }),
      })
      entry.child = child
      const exited = new Promise<string>((resolve) => {
        child.once("error", (error) => resolve(error.message))
        child.once("exit", (code, signal) => resolve(signal ? `ended by ${signal}` : `exit code ${code}`))
      })
      child.unref()
      if (child.pid === undefined) throw new Error(`${spec.name}: ${await exited}`)
      entry.identity = identifyProcess(child.pid) ?? null
      if (entry.identity) this.#writeState(spec, entry.identity)
      let ended: string | undefined
      void exited.then((why) => {
        ended = why
        if (entry.state === "running" && entry.child === child) this.#died(entry, why)
      })
      await eventually(
        `${spec.name} to be ready (log: ${spec.logFile})`,
        async () => {
          if (ended !== undefined) return "ended"
          return (await spec.isReady()) ? "ready" : false
        },
        { timeoutMs: spec.readyTimeoutMs ?? 20_000 },
      )
      if (ended !== undefined)
        throw new Error(`${spec.name} did not start: ${ended}; see ${spec.logFile}\n${tail(spec.logFile)}`)
      this.#running(entry)
      await spec.afterStart?.()
    } catch (error) {
      entry.lastError = error instanceof Error ? error.message : String(error)
      if (entry.identity) await endProcess(entry.identity, { graceMs: 2_000 })
      throw error
    } finally {
      closeSync(out)
    }
  }

  #running(entry: Entry): void {
    entry.state = "running"
    entry.since = new Date()
    // An adopted engine is not our child, so nobody tells us of its end: look.
    const watch = () => {
      if (entry.state !== "running" || !entry.identity) return
      if (!isProcessAlive(entry.identity)) this.#died(entry, "gone")
      else entry.timer = setTimeout(watch, watchIntervalMs).unref()
    }
    entry.timer = setTimeout(watch, watchIntervalMs).unref()
  }

  #died(entry: Entry, why: string): void {
    if (entry.state !== "running") return
    entry.state = "backoff"
    if (entry.timer) clearTimeout(entry.timer)
    const ranMs = entry.since ? Date.now() - entry.since.getTime() : 0
    entry.restarts = ranMs > this.#stableAfterMs ? 1 : entry.restarts + 1
    entry.lastError = why
    const waitMs = Math.min(backoffMostMs, backoffFirstMs * 2 ** (entry.restarts - 1))
    this.#log.error(
      { engine: entry.spec.name, why, waitMs, log: entry.spec.logFile },
      "engine died; restarting",
    )
    entry.timer = setTimeout(() => void this.#restart(entry), waitMs)
  }

  async #restart(entry: Entry): Promise<void> {
    if (entry.state !== "backoff") return
    try {
      await this.#launch(entry)
      this.#log.info({ engine: entry.spec.name }, "engine is back")
    } catch (error) {
      this.#log.error({ engine: entry.spec.name, err: error }, "engine did not come back")
      // Stopped while it was starting.
      if ((entry.state as EngineState) !== "starting") return
      entry.state = "running"
      this.#died(entry, entry.lastError ?? "did not start")
    }
  }

  async stop(name: string): Promise<void> {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.state = "stopping"
    if (entry.timer) clearTimeout(entry.timer)
    if (entry.identity) {
      await endProcess(entry.identity, {
        graceMs: entry.spec.stopGraceMs ?? 10_000,
        signal: entry.spec.stopSignal ?? "SIGTERM",
      })
    }
    rmSync(this.#statePath(name), { force: true })
    entry.state = "stopped"
    entry.identity = null
  }

  /** Stops all, last started first; none starts after that. */
  async stopAll(): Promise<void> {
    this.#isEnding = true
    for (const name of [...this.#entries.keys()].reverse()) await this.stop(name)
  }

  /** Leaves the engines running and forgets them (hand-over to the next process). */
  release(): void {
    for (const entry of this.#entries.values()) {
      if (entry.timer) clearTimeout(entry.timer)
      // Its end is no longer ours to answer with a restart.
      entry.state = "stopped"
    }
    this.#entries.clear()
  }

  status(): EngineStatus[] {
    return [...this.#entries.values()].map((entry) => ({
      name: entry.spec.name,
      state: entry.state,
      pid: entry.identity?.pid ?? null,
      since: entry.since?.toISOString() ?? null,
      restarts: entry.restarts,
      memoryBytes: entry.identity ? treeMemoryBytes(entry.identity.pid) : 0,
      lastError: entry.lastError,
      logFile: entry.spec.logFile,
    }))
  }

  #statePath(name: string): string {
    return join(this.#runDir, "engines", `${name}.json`)
  }

  #writeState(spec: EngineSpec, identity: ProcessIdentity): void {
    const path = this.#statePath(spec.name)
    writeFileSync(`${path}.tmp`, JSON.stringify({ identity, command: commandLine(spec) }), { mode: 0o600 })
    renameSync(`${path}.tmp`, path)
  }

  #readState(spec: EngineSpec): { identity: ProcessIdentity; command: string } | undefined {
    try {
      return JSON.parse(readFileSync(this.#statePath(spec.name), "utf8"))
    } catch {
      return undefined
    }
  }
}

/** Ends every engine that a dead process left in `runDir`; for `kumoi down` when nobody answers. */
export async function endLeftEngines(runDir: string, names: readonly string[]): Promise<string[]> {
  const ended: string[] = []
  for (const name of names) {
    const path = join(runDir, "engines", `${name}.json`)
    let identity: ProcessIdentity
    try {
      identity = JSON.parse(readFileSync(path, "utf8")).identity
    } catch {
      continue
    }
    if (isProcessAlive(identity)) {
      await endProcess(identity, { graceMs: 10_000, signal: name === "postgres" ? "SIGINT" : "SIGTERM" })
      ended.push(name)
    }
    rmSync(path, { force: true })
  }
  return ended
}

function commandLine(spec: EngineSpec): string {
  return JSON.stringify([spec.command, ...spec.args])
}

async function ready(spec: EngineSpec, timeoutMs: number): Promise<boolean> {
  try {
    return await eventually(`${spec.name} to answer`, () => spec.isReady(), { timeoutMs })
  } catch {
    return false
  }
}

/** With its children: PostgreSQL and HAProxy work in processes of their own. */
function treeMemoryBytes(pid: number): number {
  return processTree(pid).reduce((sum, each) => sum + processMemoryBytes(each), 0)
}

function tail(path: string): string {
  try {
    return readFileSync(path, "utf8").slice(-1_500)
  } catch {
    return ""
  }
}
