// A worker that slept past its lease may still send commands after another has taken over. So the highest
// (generation, fence) seen of each machine is kept on disk, and anything lower is refused. A delete leaves a
// tombstone: after it only a strictly higher pair may bring the machine back, because a late repeat of the saga
// that was unwound carries the same pair as the delete.
import { readdirSync, statSync } from "node:fs"
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

export type FenceUse = "ensure" | "change" | "destroy"

/** What to keep after the command, or null when it is stale. Pure. */
export function judgeFence(known: FenceRecord | undefined, sent: Fence, use: FenceUse): FenceRecord | null {
  const next: FenceRecord = {
    generation: sent.generation,
    fence: sent.fence,
    isDestroyed: use === "destroy",
  }
  if (!known) return next
  const order = sent.generation - known.generation || sent.fence - known.fence
  if (order < 0) return null
  if (known.isDestroyed && use !== "destroy" && order === 0) return null
  // A change of a machine that is gone does not bring it back, so the tombstone stays.
  if (known.isDestroyed && use === "change") return { ...next, isDestroyed: true }
  return next
}

export class FenceStore {
  readonly #directory: string
  readonly #known = new Map<string, FenceRecord>()

  constructor(directory: string, clock: Clock) {
    this.#directory = directory
    this.#load(clock)
  }

  isDestroyed(serverId: string): boolean {
    return this.#known.get(serverId)?.isDestroyed ?? false
  }

  /** Throws when the command is stale; otherwise it is on disk before this returns. */
  async accept(serverId: string, sent: Fence, use: FenceUse): Promise<void> {
    const known = this.#known.get(serverId)
    const next = judgeFence(known, sent, use)
    if (!next) throw agentFenceStale(serverId)
    // Nothing to guard: a change of a machine that was never here makes none.
    if (!known && use === "change") return
    const isNews =
      known?.generation !== next.generation ||
      known.fence !== next.fence ||
      known.isDestroyed !== next.isDestroyed
    if (!isNews) return
    // The outcome of the command is flushed and takes this along. What a loss of power can undo is a few seconds
    // old, and the host takes longer to boot than a paused worker keeps its lease.
    await writeStateFile(this.#path(serverId), next, { isDurable: next.isDestroyed })
    this.#known.set(serverId, next)
  }

  #path(serverId: string): string {
    return join(this.#directory, `${serverId}.json`)
  }

  #load(clock: Clock): void {
    for (const name of readNames(this.#directory)) {
      const serverId = name.replace(/\.json$/, "")
      const path = join(this.#directory, name)
      if (!isUuid(serverId)) {
        void removeStateFile(path)
        continue
      }
      const record = readStateFile(path) as FenceRecord | undefined
      if (!record) continue
      const isOld = clock.now().getTime() - statSync(path).mtimeMs > tombstoneKeptMs
      if (record.isDestroyed && isOld) void removeStateFile(path)
      else this.#known.set(serverId, record)
    }
  }
}

function readNames(directory: string): string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
