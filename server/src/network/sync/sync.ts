// Brings the engine to the rows, soon after each change, by what changed: each run reads and tells some things and what
// changes with them, so that a change does not cost more for what else there is. What is waited for goes first. The
// whole network is told page by page between the changes: at the start, on the reconciler's timer and after failures.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import { transact } from "../../platform/db/database.ts"
import { describeError, Fault } from "../../platform/fault/fault.ts"
import type {
  ChangeReport,
  NetworkChange,
  NetworkDriver,
  ReconcileReport,
  Told,
} from "../driver/network-driver.ts"
import { isNothing, told } from "../driver/want.ts"
import { type Changed, halves, keysOf, Pending, toldOf, wideOf } from "./changes.ts"
import { readChange, type WantConfig } from "./want.ts"
import { pageSize, wholeNetwork, within } from "./whole.ts"

export interface NetworkSync {
  /** These have changed; returns at once. Whoever commits a change pokes right after the commit. */
  poke(changed: Changed): void
  /** Resolves when the engine has taken these, or everything, that was poked for before the call. */
  settle(changed?: Changed): Promise<void>
  /** Tells the engine the whole network, beginning after the call; says what differed. */
  compare(): Promise<ReconcileReport>
}

declare module "../../platform/context/context.ts" {
  interface Drivers {
    readonly network: NetworkDriver
    /** Set where another process has the engine. */
    readonly networkSync?: NetworkSync
  }
}

const retryFirstMs = 500
const retryMostMs = 10_000

interface Parts extends Pick<Platform, "db" | "clock" | "log"> {
  readonly config: { readonly network: WantConfig }
  readonly drivers: Pick<Platform["drivers"], "network" | "networkSync">
}

interface Waiter {
  left: Set<string>
  done: PromiseWithResolvers<void>
}

interface Pass {
  pages: AsyncGenerator<Changed>
  report: ReconcileReport
  /** What the engine refused. */
  refused: unknown
  done: PromiseWithResolvers<ReconcileReport>
}

class Sync implements NetworkSync {
  readonly #parts: Parts
  readonly #waitedFor = new Pending()
  readonly #pending = new Pending()
  readonly #waiters = new Set<Waiter>()
  #running: ReadonlySet<string> = new Set()
  #pass: Pass | undefined
  #nextPass: Pass["done"] | undefined
  #work: Promise<void> | undefined
  #failures = 0
  #isClosed = false
  #hasCompared = false
  #pause = new AbortController()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  poke(changed: Changed): void {
    this.#pending.add(changed)
    this.#start()
  }

  async settle(changed?: Changed): Promise<void> {
    // Its poke may be lost with the process that committed.
    if (changed && !this.#hasCompared) this.#pending.add(changed)
    if (!changed) await (this.#nextPass ?? this.#pass?.done)?.promise
    const queued = [this.#pending, this.#waitedFor].flatMap((pending) => [...pending.keys()])
    const keys = changed ? keysOf(changed) : [...queued, ...this.#running]
    this.#waitedFor.add(this.#pending.pick(keys))
    const left = new Set(keys.filter((key) => this.#waitedFor.has(key) || this.#running.has(key)))
    if (left.size === 0) return
    const waiter = { left, done: Promise.withResolvers<void>() }
    this.#waiters.add(waiter)
    this.#startNow()
    await waiter.done.promise
    // And what followed from it.
    if (!changed) await this.settle()
  }

  async compare(): Promise<ReconcileReport> {
    const { promise } = this.#wantPass()
    this.#startNow()
    return await promise
  }

  /** After this no run begins by itself, and none is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#pause.abort()
    await this.#work
    const ended = new Fault("unavailable", "network.engine.closed", "The network engine is let go.")
    for (const waiter of this.#waiters) waiter.done.reject(ended)
    for (const done of [this.#pass?.done, this.#nextPass]) done?.reject(ended)
  }

  #wantPass(): Pass["done"] {
    if (!this.#nextPass) {
      this.#nextPass = Promise.withResolvers()
      // Whoever wants it waits for it; nobody has to.
      this.#nextPass.promise.catch(() => {})
    }
    return this.#nextPass
  }

  /** Also when it rests after a failure. */
  #startNow(): void {
    this.#pause.abort()
    this.#start()
  }

  #start(): void {
    if (!this.#isClosed) this.#work ??= this.#run()
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const changed = this.#waitedFor.size > 0 ? this.#waitedFor : this.#pending
      if (changed.size > 0) await this.#attempt(changed.take(pageSize))
      else await this.#turnPage()
      const isDone = this.#waitedFor.size + this.#pending.size === 0 && !this.#pass && !this.#nextPass
      if (isDone) break
    }
    this.#work = undefined
  }

  async #turnPage(): Promise<void> {
    const { db, drivers } = this.#parts
    if (!this.#pass && this.#nextPass) {
      const report = { created: 0, updated: 0, removed: 0 }
      const pages = wholeNetwork(db, drivers.network)
      this.#pass = { pages, report, refused: undefined, done: this.#nextPass }
      this.#nextPass = undefined
    }
    const pass = this.#pass
    if (!pass) return
    try {
      const page = await pass.pages.next()
      if (!page.done) return await this.#attempt(page.value, pass)
      this.#pass = undefined
      this.#hasCompared = true
      if (pass.refused === undefined) pass.done.resolve(pass.report)
      else pass.done.reject(pass.refused)
    } catch (error) {
      await this.#rest(error, pass)
    }
  }

  async #attempt(changed: Changed, pass?: Pass): Promise<void> {
    const keys = keysOf(changed)
    this.#running = new Set(keys)
    try {
      const report = await this.#tell(changed)
      if (report) {
        this.#pending.add(report.follow)
        if (pass) addTo(pass.report, report)
      }
      this.#running = new Set()
      this.#settled(keys)
      this.#failures = 0
    } catch (error) {
      this.#running = new Set()
      await this.#failed(error, changed, pass)
    }
  }

  async #tell(changed: Changed): Promise<ChangeReport | undefined> {
    const wide = wideOf(changed)
    if (wide) this.#pending.add(await within(this.#parts.db, wide))
    const ids = toldOf(changed)
    return isNothing(ids) ? undefined : await tellEngine(this.#parts, ids)
  }

  async #failed(error: unknown, changed: Changed, pass: Pass | undefined): Promise<void> {
    const isUnavailable = error instanceof Fault && error.kind === "unavailable"
    const keys = keysOf(changed)
    if (!isUnavailable && keys.length > 1) {
      // One thing that the engine refuses must not keep the others from it.
      for (const half of halves(changed)) await this.#attempt(half, pass)
      return
    }
    for (const waiter of this.#waiters) {
      if (!keys.some((key) => waiter.left.has(key))) continue
      this.#waiters.delete(waiter)
      waiter.done.reject(error)
    }
    if (isUnavailable) {
      this.#pending.add(changed)
      await this.#rest(error, pass)
    } else {
      this.#parts.log.error(
        { error: describeError(error), what: keys },
        "the network engine refused a change",
      )
      if (pass) pass.refused = error
    }
  }

  /** What the engine has when it is there again is unknown. */
  async #rest(error: unknown, pass: Pass | undefined): Promise<void> {
    const { log, clock } = this.#parts
    log.warn({ error: describeError(error) }, "the network engine was not brought to the rows")
    if (pass) {
      pass.done.reject(error)
      this.#pass = undefined
    }
    this.#wantPass()
    const pauseMs = Math.min(retryFirstMs * 2 ** this.#failures++, retryMostMs)
    if (this.#isClosed) return
    this.#pause = new AbortController()
    await clock.sleep(pauseMs, this.#pause.signal).catch(() => {})
  }

  #settled(keys: readonly string[]): void {
    // What changed again while it was told is not told yet.
    const isQueued = (key: string) => this.#waitedFor.has(key) || this.#pending.has(key)
    const done = keys.filter((key) => !isQueued(key))
    for (const waiter of this.#waiters) {
      for (const key of done) waiter.left.delete(key)
      if (waiter.left.size > 0) continue
      this.#waiters.delete(waiter)
      waiter.done.resolve()
    }
  }
}

function addTo(sum: ReconcileReport, { created, updated, removed }: ReconcileReport): void {
  sum.created += created
  sum.updated += updated
  sum.removed += removed
}

const syncs = new WeakMap<NetworkDriver, Sync>()

/** The one of this process's engine, or what reaches it in another process. */
export function syncOf(parts: Parts): NetworkSync {
  const { network, networkSync } = parts.drivers
  if (networkSync) return networkSync
  let sync = syncs.get(network)
  if (!sync) {
    sync = new Sync(parts)
    syncs.set(network, sync)
  }
  return sync
}

export async function closeSync(parts: Parts): Promise<void> {
  await syncs.get(parts.drivers.network)?.close()
  syncs.delete(parts.drivers.network)
}

async function tellEngine(parts: Parts, ids: Told): Promise<ChangeReport> {
  const { db, config, drivers } = parts
  let change: NetworkChange | undefined
  const report = await drivers.network.change(async (also) => {
    const asked = told((noun) => [...ids[noun], ...(also[noun] ?? [])])
    change = await readChange(db, config.network, asked)
    return change
  })
  if (change) await markApplied(parts, change)
  return report
}

/** What the engine itself has no state for is up once it has been taken. */
async function markApplied({ db }: Parts, { want }: NetworkChange): Promise<void> {
  const ports = [
    ...want.ports.filter((port) => port.kind !== "vif").map((port) => port.id),
    ...want.routers.flatMap(({ gateway, interfaces }) => [
      ...interfaces.map((each) => each.portId),
      ...(gateway ? [gateway.portId] : []),
    ]),
  ]
  const floatingIps = [
    ...want.floatingIps.map((floatingIp) => floatingIp.id),
    ...want.portForwardings.map((forwarding) => forwarding.floatingIpId),
  ]
  if (ports.length === 0 && floatingIps.length === 0) return
  await transact(db, async (tx) => {
    await sql`update network.port set status = case when is_admin_up then 'ACTIVE' else 'DOWN' end
      where id = any(${ports}::uuid[]) and status <> case when is_admin_up then 'ACTIVE' else 'DOWN' end`.execute(
      tx,
    )
    await sql`update network.floating_ip set status = 'ACTIVE'
      where id = any(${floatingIps}::uuid[]) and status <> 'ACTIVE' and router_id is not null`.execute(tx)
  })
}
