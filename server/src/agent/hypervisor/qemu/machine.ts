// One QEMU process and what we know of it. The end of the QMP connection tells of its death at once; the driver's
// tick (`check`) is the second way, for when the connection could not be had.
import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import type { Clock } from "../../../platform/clock/clock.ts"
import { eventually } from "../../../platform/clock/clock.ts"
import { type DetachedProcess, startDetached } from "../../../platform/exec/detach.ts"
import { endProcess, isProcessAlive, type ProcessIdentity } from "../../../platform/exec/process.ts"
import { describeError } from "../../../platform/fault/fault.ts"
import type { Logger } from "../../../platform/log/log.ts"
import { agentMachineDisksTaken, agentMachineStateWrong, agentStartFailed } from "../../faults.ts"
import type { PowerState, VmState } from "../../protocol.ts"
import {
  continueGuest,
  QmpConnection,
  QmpError,
  type QmpEvent,
  queryStatus,
  stopGuest,
} from "../../qmp/index.ts"
import { hasSavedMemory, type RunDirectory, removeSockets } from "./run-directory.ts"
import { endTpm } from "./tpm.ts"

export interface MachineDeps {
  clock: Clock
  log: Logger
  /** Told of every change of state. */
  onChange: (serverId: string, state: VmState) => void
  /** Told when its process has ended. */
  onEnd?: (serverId: string) => void
  /** How long a guest may take to let go of a device. */
  unplugTimeoutMs?: number
}

/**
 * Guests answer within a second; a busy one takes longer, and one without an ACPI driver never does. Nova waits 160 s.
 */
const defaultUnplugTimeoutMs = 60_000

const startTimeoutMs = 30_000
/** QEMU frees the guest's memory after it closed its sockets, which takes a while for a large guest. */
const endTimeoutMs = 10_000
const arriveTimeoutMs = 600_000
const sigtermGraceMs = 3_000
/** Guests die before the cloud's own processes when the host runs out of memory. */
const oomScoreAdjust = "300"

export class QemuMachine {
  readonly serverId: string
  readonly directory: RunDirectory
  readonly #deps: MachineDeps
  #state: VmState
  #identity: ProcessIdentity | null = null
  #child: DetachedProcess | null = null
  #qmp: QmpConnection | null = null
  #connecting: Promise<void> | null = null
  /** From QEMU's SHUTDOWN event: why it is about to end. */
  #shutdownReason: string | null = null
  #isReleased = false
  #concluding: Promise<void> | null = null

  constructor(serverId: string, directory: RunDirectory, deps: MachineDeps) {
    this.serverId = serverId
    this.directory = directory
    this.#deps = deps
    this.#state = this.#stateOf(this.#restingPower())
  }

  get state(): VmState {
    return this.#state
  }

  get identity(): ProcessIdentity | null {
    return this.#identity
  }

  get unplugTimeoutMs(): number {
    return this.#deps.unplugTimeoutMs ?? defaultUnplugTimeoutMs
  }

  get isAlive(): boolean {
    return this.#identity !== null && isProcessAlive(this.#identity)
  }

  /** The connection of the living machine; a fault when there is none. */
  async qmp(what: string): Promise<QmpConnection> {
    if (this.isAlive && (!this.#qmp || this.#qmp.isClosed)) await this.#connect(startTimeoutMs)
    if (!this.#qmp || this.#qmp.isClosed) throw agentMachineStateWrong(what, this.#state.power)
    return this.#qmp
  }

  /**
   * Starts QEMU with the processors halted, and connects. Whoever calls has made sure that none runs, and has heard of
   * the last one's end (`refresh`). `inherit` are files that it has open from 3 on.
   */
  async launch(
    prefix: readonly string[],
    args: readonly string[],
    onStarted: (identity: ProcessIdentity) => Promise<void>,
    inherit: readonly number[] = [],
  ): Promise<void> {
    const [file, ...rest] = [...prefix, "qemu-system-x86_64", ...args]
    if (file === undefined) throw new Error("unreachable: the command is never empty")
    appendFileSync(this.directory.serialLog, "", { mode: 0o600 })
    writeFileSync(this.directory.qemuLog, "", { mode: 0o600 })
    this.#shutdownReason = null
    this.#concluding = null
    this.#child = await startDetached(file, rest, { outputFile: this.directory.qemuLog, inherit })
    const { identity } = this.#child
    this.#identity = identity
    try {
      await onStarted(identity)
      await this.#connect(startTimeoutMs)
      for (const path of [this.directory.qmpSocket, this.directory.vncSocket, this.directory.serialSocket]) {
        chmodSync(path, 0o600)
      }
      if (existsSync(this.directory.agentSocket)) chmodSync(this.directory.agentSocket, 0o600)
      this.#shieldHost()
    } catch (error) {
      await endProcess(identity, { graceMs: sigtermGraceMs })
      const said = this.#lastWords()
      this.#identity = null
      const failed = agentStartFailed(this.serverId, said || describeError(error))
      throw Object.assign(failed, { cause: error })
    }
  }

  /** Takes up a QEMU that was started before us. */
  async adopt(identity: ProcessIdentity): Promise<void> {
    this.#identity = identity
    this.#concluding = null
    if (!isProcessAlive(identity)) {
      this.#identity = null
      return
    }
    // Until it answers it counts as running: it does run, and nobody has said otherwise.
    this.#setState(this.#stateOf("running"))
    try {
      await this.#connect(startTimeoutMs)
      await this.refresh()
    } catch (error) {
      this.#deps.log.warn({ serverId: this.serverId, err: error }, "a living machine does not answer yet")
    }
  }

  /** Reads the state from QEMU. */
  async refresh(): Promise<VmState> {
    if (!this.isAlive) {
      if (this.#identity) await this.#conclude()
      return this.#state
    }
    if (!this.#qmp || this.#qmp.isClosed) return this.#state
    const { status } = await queryStatus(this.#qmp)
    this.#setState(this.#stateOf(powerOf(status), reasonOf(status)))
    return this.#state
  }

  /** For one that does not run, after the files that say what it is have changed. */
  rest(): void {
    if (!this.#identity) this.#setState(this.#stateOf(this.#restingPower()))
  }

  /** Until a guest that comes from a file, or from another host, is whole. */
  async arrive({
    timeoutMs = arriveTimeoutMs,
    signal,
  }: {
    timeoutMs?: number
    signal?: AbortSignal
  } = {}): Promise<void> {
    const qmp = await this.qmp("continue")
    const isThere = async () => !this.isAlive || (await queryStatus(qmp)).status !== "inmigrate"
    try {
      await eventually("the memory to be read", isThere, {
        ...{ timeoutMs, intervalMs: 20 },
        ...(signal && { signal }),
      })
      await this.refresh()
    } catch (error) {
      await this.end("its memory could not be read")
      throw agentStartFailed(this.serverId, this.#lastWords() || describeError(error))
    }
    if (!this.isAlive) throw agentStartFailed(this.serverId, this.#lastWords())
  }

  async resume(): Promise<void> {
    await this.#continue(await this.qmp("continue"))
    await this.refresh()
  }

  /**
   * For one that is paused. QEMU sends away no guest that has been sent away before and has not run since, and has
   * none of its disks: it runs for less than a millisecond.
   */
  async settle(): Promise<void> {
    const qmp = await this.qmp("pause")
    if ((await queryStatus(qmp)).status !== "postmigrate") return
    await this.#continue(qmp)
    await stopGuest(qmp)
  }

  async #continue(qmp: QmpConnection): Promise<void> {
    try {
      await continueGuest(qmp)
    } catch (error) {
      // Of a guest that was between two hosts, which is when QEMU wants them.
      if (!(error instanceof QmpError) || !/Failed to get .*lock/.test(error.message)) throw error
      throw Object.assign(agentMachineDisksTaken(this.serverId), { cause: error })
    }
  }

  /** QEMU holds a guest whose write found no room, and writes again when it goes on. */
  get isPausedByDisk(): boolean {
    return this.#state.power === "paused" && this.#state.reason === pausedByDisk
  }

  async pause(): Promise<void> {
    await stopGuest(await this.qmp("pause"))
    await this.refresh()
  }

  /** Whether it ended within the time. */
  async waitEnd(timeoutMs: number): Promise<boolean> {
    try {
      await eventually("QEMU to end", () => !this.isAlive, { timeoutMs, intervalMs: 50 })
    } catch {
      return false
    }
    await this.#conclude()
    return true
  }

  /** Ends QEMU: SIGTERM lets it write back what it holds, SIGKILL follows. */
  async end(why: string): Promise<void> {
    const identity = this.#identity
    if (!identity) return
    this.#shutdownReason ??= why
    await endProcess(identity, { graceMs: sigtermGraceMs })
    await this.#conclude()
  }

  /** The tick: notices a death, and connects again when the connection was lost. */
  async check(): Promise<void> {
    if (this.#isReleased || !this.#identity || this.#connecting) return
    if (!this.isAlive) await this.#conclude()
    else if (!this.#qmp || this.#qmp.isClosed) {
      await this.#connect(1_000).then(
        () => this.refresh(),
        () => {},
      )
    }
  }

  /** Lets go of the machine without touching it. */
  async release(): Promise<void> {
    this.#isReleased = true
    await this.#qmp?.close()
  }

  async #connect(timeoutMs: number): Promise<void> {
    // Who tries already may have less patience.
    await this.#connecting?.catch(() => {})
    // QEMU serves one client at a time: beside a connection that stands, no other one is ever greeted.
    if (this.#qmp && !this.#qmp.isClosed) return
    this.#connecting ??= this.#connectNow(timeoutMs).finally(() => {
      this.#connecting = null
    })
    await this.#connecting
  }

  async #connectNow(timeoutMs: number): Promise<void> {
    const qmp = await eventually(
      "QEMU to greet",
      async () => {
        if (!this.isAlive) return "ended" as const
        return await QmpConnection.connect(this.directory.qmpSocket)
      },
      { timeoutMs, intervalMs: 10 },
    )
    if (qmp === "ended") throw new Error("QEMU ended at once")
    this.#qmp = qmp
    void this.#follow(qmp, qmp.events())
  }

  async #follow(qmp: QmpConnection, events: AsyncIterableIterator<QmpEvent>): Promise<void> {
    for await (const event of events) {
      try {
        await this.#onEvent(event)
      } catch (error) {
        this.#deps.log.debug({ serverId: this.serverId, err: error }, "event came too late")
      }
    }
    if (this.#isReleased || this.#qmp !== qmp) return
    this.#qmp = null
    // The sockets close just before the process is gone. If it lives on, the tick connects again.
    await this.waitEnd(endTimeoutMs)
  }

  async #onEvent({ event, data }: QmpEvent): Promise<void> {
    if (event === "SHUTDOWN") this.#shutdownReason ??= String(data.reason)
    else if (event === "GUEST_PANICKED") this.#shutdownReason = "guest-panic"
    else if (event === "STOP" || event === "RESUME" || event === "SUSPEND" || event === "WAKEUP") {
      await this.refresh()
    }
  }

  async #conclude(): Promise<void> {
    this.#concluding ??= this.#concludeNow()
    await this.#concluding
  }

  async #concludeNow(): Promise<void> {
    const isOurs = this.#child?.identity.pid === this.#identity?.pid
    const ended = isOurs ? await this.#child?.ended : undefined
    this.#identity = null
    this.#child = null
    await this.#qmp?.close()
    this.#qmp = null
    await endTpm(this.directory)
    removeSockets(this.directory)
    this.#deps.onEnd?.(this.serverId)
    const { power, reason } = verdict(this.#shutdownReason, ended?.signal ?? null, this.#lastWords())
    if (hasSavedMemory(this.directory)) this.rest()
    else this.#setState(this.#stateOf(power, reason))
  }

  #stateOf(power: PowerState, reason?: string): VmState {
    const since = this.#deps.clock.now().toISOString()
    return reason === undefined ? { power, since } : { power, since, reason }
  }

  #restingPower(): PowerState {
    return hasSavedMemory(this.directory) ? "suspended" : "shutdown"
  }

  #setState(next: VmState): void {
    if (next.power === this.#state.power && next.reason === this.#state.reason) return
    this.#state = next
    this.#deps.onChange(this.serverId, next)
  }

  #shieldHost(): void {
    try {
      writeFileSync(`/proc/${this.#identity?.pid}/oom_score_adj`, oomScoreAdjust)
    } catch {
      // Not allowed without privileges in some containers; the kernel's own choice stands then.
    }
  }

  /** The end of what QEMU printed, without its time stamps and warnings. */
  #lastWords(): string {
    try {
      const lines = readFileSync(this.directory.qemuLog, "utf8").trim().split("\n")
      return lines
        .map((line) => line.replace(/^\S+Z /, "").replace(/^qemu-system-x86_64: /, ""))
        .filter((line) => !line.startsWith("warning: "))
        .slice(-3)
        .join("; ")
        .slice(-400)
    } catch {
      return ""
    }
  }
}

function powerOf(status: string): PowerState {
  if (status === "suspended") return "suspended"
  if (status === "shutdown") return "shutdown"
  if (status === "guest-panicked" || status === "internal-error") return "crashed"
  return status === "running" ? "running" : "paused"
}

const pausedByDisk = "the guest is paused because the disk of the host is full"

function reasonOf(status: string): string | undefined {
  if (status === "io-error") return pausedByDisk
  if (status === "watchdog") return "the guest is paused by its watchdog"
  if (status === "guest-panicked") return "the guest's kernel panicked"
  if (status === "internal-error") return "QEMU met an internal error"
  return undefined
}

const shutdownReasons: Record<string, string> = {
  "guest-shutdown": "the guest powered off",
  "guest-reset": "the guest reset",
  "host-qmp-quit": "stopped by the host",
  "host-signal": "QEMU was asked to end by a signal from outside",
}

/** What an ended QEMU means, from its last event, the signal that killed it, and its last words. Pure. */
export function verdict(
  shutdownReason: string | null,
  signal: string | null,
  lastWords: string,
): { power: "shutdown" | "crashed"; reason: string } {
  if (shutdownReason === "guest-panic") return { power: "crashed", reason: "the guest's kernel panicked" }
  if (shutdownReason !== null) {
    return { power: "shutdown", reason: shutdownReasons[shutdownReason] ?? shutdownReason }
  }
  const how = signal ? `QEMU was ended by ${signal}` : "QEMU ended unexpectedly"
  return { power: "crashed", reason: lastWords ? `${how}: ${lastWords}` : how }
}
