// Brings the engine to the rows, soon after each change. Pokes during a run cause one more run, however many.
//
// Ports of machines come and go all the time and stand alone, so a poke that names them leads to a small run: only
// these are read and told. Whatever else changes leads to a whole run, as do the reconciler's timer and every failure.
import { sql } from "kysely"
import type { Platform } from "../../platform/context/context.ts"
import type { Db, Tx } from "../../platform/db/database.ts"
import { describeError } from "../../platform/fault/fault.ts"
import type { NetworkDriver, NetworkWant, ReconcileReport } from "../driver/network-driver.ts"
import { applyPorts, type KnownWant, knownOf } from "./small-run.ts"
import { buildWant, type WantConfig } from "./want.ts"

/** All that has changed: ports of machines, by their ids; they are there or gone. */
export interface ChangedPorts {
  ports: readonly string[]
}

export interface NetworkSync {
  /** There is something new; returns at once. Whoever commits a change pokes right after the commit. */
  poke(changed?: ChangedPorts): void
  /** Resolves when the engine has taken everything that was poked for before the call. */
  settle(): Promise<ReconcileReport>
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
/** Held while an engine is told: what is told later was read later. */
const syncLock = "network.sync"

interface Parts extends Pick<Platform, "db" | "clock" | "log"> {
  readonly config: { readonly network: WantConfig }
  readonly drivers: Pick<Platform["drivers"], "network" | "networkSync">
}

class Sync implements NetworkSync {
  readonly #parts: Parts
  #running: Promise<ReconcileReport> | undefined
  #next: Promise<ReconcileReport> | undefined
  /** Poked for, and no run has begun since. What an earlier process left is unknown. */
  #behind: Set<string> | "all" | null = "all"
  #known: KnownWant | undefined
  #last: ReconcileReport = { created: 0, updated: 0, removed: 0 }
  #failures = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  poke(changed?: ChangedPorts): void {
    if (changed === undefined) this.#behind = "all"
    else if (this.#behind !== "all") this.#behind = new Set([...(this.#behind ?? []), ...changed.ports])
    this.settle().catch(() => {})
  }

  async settle(): Promise<ReconcileReport> {
    if (this.#behind === null) return await (this.#running ?? this.#last)
    return await this.#advance()
  }

  /** A run that begins after this call. */
  #advance(): Promise<ReconcileReport> {
    const running = this.#running
    if (!running) return this.#start()
    this.#next ??= running.then(
      () => this.#start(),
      () => this.#start(),
    )
    return this.#next
  }

  /** When what is under way has ended, well or not. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running.catch(() => {})
  }

  #start(): Promise<ReconcileReport> {
    this.#next = undefined
    const run = this.#run().finally(() => {
      if (this.#running === run) this.#running = undefined
    })
    this.#running = run
    return run
  }

  async #run(): Promise<ReconcileReport> {
    const behind = this.#behind ?? "all"
    this.#behind = null
    const known = behind === "all" ? undefined : this.#known
    this.#known = undefined
    try {
      const applied = await applyRows(this.#parts, behind, known)
      this.#known = applied.known
      this.#last = applied.report
      this.#failures = 0
      return this.#last
    } catch (error) {
      this.#behind = "all"
      this.#failures += 1
      this.#parts.log.warn({ error: describeError(error) }, "the network engine was not brought to the rows")
      if (this.#failures === 1) void this.#retry()
      throw error
    }
  }

  /** Until a run succeeds, each some time after the last. */
  async #retry(): Promise<void> {
    const { clock, db } = this.#parts
    let pauseMs = retryFirstMs
    while (this.#failures > 0) {
      await clock.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * 2, retryMostMs)
      if (isClosed.has(db)) return
      await this.settle().catch(() => {})
    }
  }
}

/** Databases whose platform has ended; nothing is tried again on them. */
const isClosed = new WeakSet<Db>()
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

/** After this no run begins by itself, and none is under way. */
export async function closeSync(parts: Parts): Promise<void> {
  isClosed.add(parts.db)
  await syncs.get(parts.drivers.network)?.idle()
  syncs.delete(parts.drivers.network)
}

interface Applied {
  report: ReconcileReport
  known: KnownWant
}

async function applyRows(
  parts: Parts,
  behind: ReadonlySet<string> | "all",
  known: KnownWant | undefined,
): Promise<Applied> {
  const { db, config, drivers } = parts
  return await db.transaction().execute(async (tx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${syncLock}, 0))`.execute(tx)
    if (known && behind !== "all") {
      const report = await applyPorts(tx, drivers.network, [...behind], known)
      if (report) return { report, known }
    }
    const want = await buildWant(tx, config.network)
    const report = await drivers.network.reconcile(want)
    await markApplied(tx, want)
    return { report, known: knownOf(want) }
  })
}

/** What the engine itself has no state for is up once it has been taken. */
async function markApplied(tx: Tx, want: NetworkWant): Promise<void> {
  const ports = [
    ...want.ports.filter((port) => port.kind !== "vif").map((port) => port.id),
    ...want.routers.flatMap((router) => router.gateway?.portId ?? []),
  ]
  await sql`update network.port set status = case when is_admin_up then 'ACTIVE' else 'DOWN' end
    where id = any(${ports}::uuid[]) and status <> case when is_admin_up then 'ACTIVE' else 'DOWN' end`.execute(
    tx,
  )
  await sql`update network.floating_ip set status = 'ACTIVE'
    where id = any(${want.floatingIps.map((f) => f.id)}::uuid[]) and status <> 'ACTIVE' and router_id is not null`.execute(
    tx,
  )
}
