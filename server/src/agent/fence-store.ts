// A worker that slept past its lease may still send commands after another has taken over. So the highest
// (epoch, generation, fence) seen of each machine is kept on disk, and anything lower is refused. A delete leaves a
// tombstone: after it only a strictly higher pair may bring the machine back, because a late repeat of the saga
// that was unwound carries the same pair as the delete.
import { readdir, stat } from "node:fs/promises"
import { join } from "node:path"
import type { Clock } from "../platform/clock/clock.ts"
import { isUuid } from "../platform/ids/ids.ts"
import { agentFenceStale } from "./faults.ts"
import type { Fence } from "./protocol.ts"
import { readStateFile, removeStateFile, writeStateFile } from "./state-file.ts"

export interface FenceRecord extends Fence {
  isDestroyed: boolean
}

/** A saga's commands do not live longer than this: its lease is seconds, its retries end within days. */
const tombstoneKeptMs = 7 * 24 * 3_600_000

/** A restored database has a higher epoch and generations that went back. */
function compareFences(a: Fence, b: Fence): number {
  return (a.epoch ?? 0) - (b.epoch ?? 0) || a.generation - b.generation || a.fence - b.fence
}

export type FenceUse = "ensure" | "change" | "destroy"

/** What to keep after the command, or null when it is stale. Pure. */
export function judgeFence(known: FenceRecord | undefined, sent: Fence, use: FenceUse): FenceRecord | null {
  const next: FenceRecord = {
    epoch: sent.epoch ?? 0,
    generation: sent.generation,
    fence: sent.fence,
    isDestroyed: use === "destroy",
  }
  if (!known) return next
  const order = compareFences(sent, known)
  if (order < 0) return null
  if (known.isDestroyed && use !== "destroy" && order === 0) return null
  // A change of a machine that is gone does not bring it back, so the tombstone stays.
  if (known.isDestroyed && use === "change") return { ...next, isDestroyed: true }
  return next
}

/** Records kept in memory; the others are read when they are asked for. */
const rememberedMost = 10_000

export class FenceStore {
  readonly #directory: string
  readonly #clock: Clock
  /** In the order of their last use. */
  readonly #remembered = new Map<string, FenceRecord>()

  readonly #rememberedMost: number

  constructor(directory: string, clock: Clock, options: { rememberedMost?: number } = {}) {
    this.#directory = directory
    this.#clock = clock
    this.#rememberedMost = options.rememberedMost ?? rememberedMost
  }

  isDestroyed(serverId: string): boolean {
    return this.#known(serverId)?.isDestroyed ?? false
  }

  generationOf(serverId: string): number {
    return this.#known(serverId)?.generation ?? 0
  }

  /**
   * Whether a later run of the same task has been here. What a task made for itself is that run's then, and nobody
   * else's, whatever later tasks did.
   */
  isTakenOver(serverId: string, sent: Fence): boolean {
    const known = this.#known(serverId)
    if (!known || (known.epoch ?? 0) !== (sent.epoch ?? 0)) return false
    return known.generation === sent.generation && known.fence > sent.fence
  }

  /** Whether the command is of before what was seen last. */
  isStale(serverId: string, sent: Fence, use: FenceUse): boolean {
    return judgeFence(this.#known(serverId), sent, use) === null
  }

  /** A tombstone at whatever was seen last, for a machine that nobody commands. */
  async bury(serverId: string): Promise<void> {
    await this.accept(serverId, this.#known(serverId) ?? { generation: 0, fence: 0 }, "destroy")
  }

  /**
   * Throws when the command is stale; otherwise it is on disk before this returns. `before` is done in between: what
   * must be written before the tombstone is.
   */
  async accept(serverId: string, sent: Fence, use: FenceUse, before?: () => Promise<void>): Promise<void> {
    const known = this.#known(serverId)
    const next = judgeFence(known, sent, use)
    if (!next) throw agentFenceStale(serverId)
    await before?.()
    // Nothing to guard: a change of a machine that was never here makes none.
    if (!known && use === "change") return
    if (known && compareFences(known, next) === 0 && known.isDestroyed === next.isDestroyed) return
    // The outcome of the command is flushed and takes this along. What a loss of power can undo is a few seconds
    // old, and the host takes longer to boot than a paused worker keeps its lease.
    await writeStateFile(this.#path(serverId), next, { isDurable: next.isDestroyed })
    this.#remember(serverId, next)
  }

  /** Ids of tombstones that may be old enough to be forgotten. */
  async oldOnes(): Promise<string[]> {
    const old: string[] = []
    for (const name of await readNames(this.#directory)) {
      const serverId = name.replace(/\.json$/, "")
      if (!isUuid(serverId)) await removeStateFile(join(this.#directory, name))
      else if (await this.#isOld(serverId)) old.push(serverId)
    }
    return old
  }

  /** Forgets an old tombstone. In the machine's queue, so that no command comes in between. */
  async forgetOld(serverId: string): Promise<void> {
    if (this.isDestroyed(serverId)) await this.forgetAnyOld(serverId)
  }

  /** Also of what is there: for things that nothing but their commands knows of. */
  async forgetAnyOld(id: string): Promise<void> {
    if (!(await this.#isOld(id))) return
    await removeStateFile(this.#path(id))
    this.#remembered.delete(id)
  }

  async #isOld(serverId: string): Promise<boolean> {
    const facts = await stat(this.#path(serverId)).catch(() => undefined)
    return facts !== undefined && this.#clock.now().getTime() - facts.mtimeMs > tombstoneKeptMs
  }

  #known(serverId: string): FenceRecord | undefined {
    const remembered = this.#remembered.get(serverId)
    // Only this store writes the file, so what is remembered is what it says.
    const record = remembered ?? (readStateFile(this.#path(serverId)) as FenceRecord | undefined)
    if (record) this.#remember(serverId, record)
    return record
  }

  #remember(serverId: string, record: FenceRecord): void {
    this.#remembered.delete(serverId)
    this.#remembered.set(serverId, record)
    if (this.#remembered.size <= this.#rememberedMost) return
    const [oldest] = this.#remembered.keys()
    if (oldest !== undefined) this.#remembered.delete(oldest)
  }

  #path(serverId: string): string {
    return join(this.#directory, `${serverId}.json`)
  }
}

async function readNames(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => [])
}
