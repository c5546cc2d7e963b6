// A network engine that only remembers. It keeps the driver's promises (contract.ts), so the whole cloud runs on it
// where there is no root or no OVN, and it can be told to be slow or to fail.
import { type Clock, systemClock } from "../../../platform/clock/clock.ts"
import { Fault } from "../../../platform/fault/fault.ts"
import type {
  ChangeReport,
  Gateway,
  NetworkChange,
  NetworkDriver,
  NetworkWant,
  PortStateEvent,
  Told,
} from "../network-driver.ts"
import { nouns, told } from "../want.ts"

export class FakeNetworkDriver implements NetworkDriver {
  readonly name = "fake"
  readonly #clock: Clock
  readonly #watchers = new Set<(portIds: Iterable<string>) => void>()
  readonly #things = new Map(nouns.map((noun) => [noun, new Map<string, { id: string }>()]))
  #turn: Promise<unknown> = Promise.resolve()
  #slowMs = 0
  #failures = 0
  #isUnplugged = new Set<string>()
  #holdsBackAll = false
  /** As it was told last. */
  gateways: readonly Gateway[] = []

  constructor(options: { clock?: Clock } = {}) {
    this.#clock = options.clock ?? systemClock
  }

  /** What it has been told. */
  get want(): NetworkWant {
    const of = (noun: keyof NetworkWant) => [...(this.#things.get(noun)?.values() ?? [])]
    return Object.fromEntries(nouns.map((noun) => [noun, of(noun)])) as unknown as NetworkWant // as it was told
  }

  /** Every following change takes this long. */
  slowDown(ms: number): void {
    this.#slowMs = ms
  }

  /** The next `count` changes fail and change nothing. */
  failNext(count: number): void {
    this.#failures = count
  }

  /** Ports are up as soon as they are bound to a host; this holds one back, or lets it go. */
  holdBack(portId: string, isHeld: boolean): void {
    if (isHeld) this.#isUnplugged.add(portId)
    else this.#isUnplugged.delete(portId)
    this.#tell([portId])
  }

  /** The same of all. */
  holdBackAll(isHeld: boolean): void {
    this.#holdsBackAll = isHeld
    this.#tell(this.#ports.keys())
  }

  async change(read: (also: Partial<Told>) => Promise<NetworkChange>): Promise<ChangeReport> {
    const turn = this.#turn.then(async () => {
      await this.#misbehave()
      return this.#take(await read({}))
    })
    this.#turn = turn.catch(() => {})
    return await turn
  }

  async setGateways(gateways: readonly Gateway[]): Promise<void> {
    this.gateways = gateways
  }

  async known(): Promise<Told> {
    return told((noun) => this.#things.get(noun)?.keys() ?? [])
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

  #take({ want, told }: NetworkChange): ChangeReport {
    const report = { created: 0, updated: 0, removed: 0 }
    for (const noun of nouns) {
      const things = this.#things.get(noun)
      const wanted = new Map<string, { id: string }>(want[noun].map((thing) => [thing.id, thing]))
      for (const id of told[noun]) {
        const before = things?.get(id)
        const after = wanted.get(id)
        if (!after) report.removed += things?.delete(id) ? 1 : 0
        else if (!before) report.created += 1
        else if (JSON.stringify(before) !== JSON.stringify(after)) report.updated += 1
        if (after) things?.set(id, structuredClone(after))
      }
    }
    this.#tell(told.ports)
    return { ...report, follow: { ports: [], portsOfSubnets: [], ofNetworks: [] } }
  }

  async *portStates(signal: AbortSignal): AsyncIterable<PortStateEvent> {
    const told = new Map<string, boolean>()
    // Only what has changed is looked at: a change costs the same with however many ports.
    const changed = new Set(this.#ports.keys())
    let wake: () => void = () => {}
    const onChange = (portIds: Iterable<string>) => {
      for (const portId of portIds) changed.add(portId)
      wake()
    }
    const onAbort = () => wake()
    this.#watchers.add(onChange)
    signal.addEventListener("abort", onAbort)
    try {
      while (!signal.aborted) {
        const more = new Promise<void>((resolve) => {
          wake = resolve
        })
        for (const portId of [...changed]) {
          changed.delete(portId)
          const isUp = this.#stateOf(portId)
          if (told.get(portId) === isUp) continue
          if (isUp === undefined) told.delete(portId)
          else {
            told.set(portId, isUp)
            yield { portId, isUp }
          }
        }
        if (!signal.aborted && changed.size === 0) await more
      }
    } finally {
      this.#watchers.delete(onChange)
      signal.removeEventListener("abort", onAbort)
    }
  }

  isPortUp(portId: string): boolean {
    return this.#stateOf(portId) === true
  }

  get #ports(): ReadonlyMap<string, { id: string }> {
    return this.#things.get("ports") ?? new Map()
  }

  /** Undefined: there is no such port, or no guest's. */
  #stateOf(portId: string): boolean | undefined {
    // It came as one.
    const port = this.#ports.get(portId) as NetworkWant["ports"][number] | undefined
    if (port?.kind !== "vif") return undefined
    return port.hostId !== null && !this.#holdsBackAll && !this.#isUnplugged.has(portId)
  }

  #tell(portIds: Iterable<string>): void {
    for (const watcher of this.#watchers) watcher(portIds)
  }

  async health(): Promise<string | undefined> {
    return this.#failures > 0 ? "the fake network was told to fail" : undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#tell([])
  }
}
