// A network engine that only remembers. It keeps the driver's promises (contract.ts), so the whole cloud runs on it
// where there is no root or no OVN, and it can be told to be slow or to fail.
import { type Clock, systemClock } from "../../../platform/clock/clock.ts"
import { Fault } from "../../../platform/fault/fault.ts"
import type {
  NetworkDriver,
  NetworkWant,
  PortStateEvent,
  PortsChange,
  ReconcileReport,
  WantPort,
} from "../network-driver.ts"

const nothing: NetworkWant = {
  networks: [],
  subnets: [],
  ports: [],
  routers: [],
  floatingIps: [],
  securityGroups: [],
}

export class FakeNetworkDriver implements NetworkDriver {
  readonly name = "fake"
  readonly #clock: Clock
  readonly #watchers = new Set<() => void>()
  #want: Omit<NetworkWant, "ports"> = nothing
  #ports = new Map<string, WantPort>()
  #turn: Promise<unknown> = Promise.resolve()
  #slowMs = 0
  #failures = 0
  #isUnplugged = new Set<string>()

  constructor(options: { clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  /** What it has been told. */
  get want(): NetworkWant {
    return { ...this.#want, ports: [...this.#ports.values()] }
  }

  /** Every following reconcile takes this long. */
  slowDown(ms: number): void {
    this.#slowMs = ms
  }

  /** The next `count` reconciles fail and change nothing. */
  failNext(count: number): void {
    this.#failures = count
  }

  /** Ports are up as soon as they are bound to a host; this holds one back, or lets it go. */
  holdBack(portId: string, isHeld: boolean): void {
    if (isHeld) this.#isUnplugged.add(portId)
    else this.#isUnplugged.delete(portId)
    this.#tell()
  }

  async reconcile(want: NetworkWant): Promise<ReconcileReport> {
    return await this.#inTurn(() => this.#reconcile(want))
  }

  async changePorts(change: PortsChange): Promise<ReconcileReport> {
    return await this.#inTurn(() => this.#changePorts(change))
  }

  async #inTurn(run: () => ReconcileReport): Promise<ReconcileReport> {
    const turn = this.#turn.then(async () => {
      await this.#misbehave()
      return run()
    })
    this.#turn = turn.catch(() => {})
    return await turn
  }

  /** Slow or failing, as it was told to be. */
  async #misbehave(): Promise<void> {
    if (this.#slowMs > 0) await this.#clock.sleep(this.#slowMs)
    if (this.#failures > 0) {
      this.#failures -= 1
      throw new Fault("unavailable", "network.engine.unavailable", "The fake network was told to fail.", {
        retryAfterMs: 100,
      })
    }
  }

  #reconcile(want: NetworkWant): ReconcileReport {
    const before = rowsOf(this.want)
    const after = rowsOf(want)
    const report = { created: 0, updated: 0, removed: 0 }
    for (const [key, text] of after) {
      const old = before.get(key)
      if (old === undefined) report.created += 1
      else if (old !== text) report.updated += 1
    }
    for (const key of before.keys()) if (!after.has(key)) report.removed += 1
    const { ports, ...rest } = structuredClone(want)
    this.#want = rest
    this.#ports = new Map(ports.map((port) => [port.id, port]))
    this.#tell()
    return report
  }

  #changePorts({ ports, gone }: PortsChange): ReconcileReport {
    const report = { created: 0, updated: 0, removed: 0 }
    for (const port of ports) {
      const before = this.#ports.get(port.id)
      if (!before) report.created += 1
      else if (JSON.stringify(before) !== JSON.stringify(port)) report.updated += 1
      this.#ports.set(port.id, structuredClone(port))
    }
    for (const { id } of gone) if (this.#ports.delete(id)) report.removed += 1
    this.#tell()
    return report
  }

  async *portStates(signal: AbortSignal): AsyncIterable<PortStateEvent> {
    const told = new Map<string, boolean>()
    let wake: () => void = () => {}
    const onChange = () => wake()
    this.#watchers.add(onChange)
    signal.addEventListener("abort", onChange)
    try {
      while (!signal.aborted) {
        const changed = new Promise<void>((resolve) => {
          wake = resolve
        })
        const states = this.#states()
        for (const portId of told.keys()) if (!states.has(portId)) told.delete(portId)
        for (const [portId, isUp] of states) {
          if (told.get(portId) === isUp) continue
          told.set(portId, isUp)
          yield { portId, isUp }
        }
        if (!signal.aborted) await changed
      }
    } finally {
      this.#watchers.delete(onChange)
      signal.removeEventListener("abort", onChange)
    }
  }

  #states(): Map<string, boolean> {
    const states = new Map<string, boolean>()
    for (const { id, kind, hostId } of this.#ports.values())
      if (kind === "vif") states.set(id, hostId !== null && !this.#isUnplugged.has(id))
    return states
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }

  async health(): Promise<string | undefined> {
    return this.#failures > 0 ? "the fake network was told to fail" : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tell()
  }
}

function rowsOf(want: NetworkWant): Map<string, string> {
  const rows = new Map<string, string>()
  for (const [kind, list] of Object.entries(want))
    for (const row of list as { id: string }[]) rows.set(`${kind} ${row.id}`, JSON.stringify(row)) // every list has ids
  return rows
}
