// After a crash: transfers that died give their images back, files that nobody owns go.
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { sql } from "kysely"
import type { Reconciler } from "../../engine/reconcile/reconciler.ts"
import type { Platform } from "../../platform/context/context.ts"
import { isProcessAlive } from "../../platform/exec/process.ts"
import { removeExpiredTasks } from "../task/store.ts"
import { ensureDirectories } from "./file-store.ts"
import { readFileName, storePaths } from "./paths.ts"

/** Images whose writer is dead are queued again, at once for writers of this host. */
export async function requeueDeadTransfers(platform: Platform): Promise<number> {
  const { db, clock, config } = platform
  const now = clock.now()
  const rows = await db
    .selectFrom("image.image")
    .select(["id", "transfer_id", "transfer_host", "transfer_process", "transfer_seen_at"])
    .where("transfer_id", "is not", null)
    .execute()
  let count = 0
  for (const row of rows) {
    const quietMs = now.getTime() - (row.transfer_seen_at?.getTime() ?? 0)
    const isDead =
      row.transfer_host === config.host && row.transfer_process !== null
        ? !isProcessAlive(row.transfer_process)
        : quietMs > config.image.transferLeaseMs
    if (!isDead) continue
    const done = await db
      .updateTable("image.image")
      .set({
        status: "queued",
        size_bytes: null,
        virtual_size_bytes: null,
        transfer_id: null,
        transfer_host: null,
        transfer_process: null,
        transfer_seen_at: null,
        generation: sql`generation + 1`,
        updated_at: now,
      })
      .where("id", "=", row.id)
      .where("transfer_id", "=", row.transfer_id)
      .executeTakeFirst()
    count += Number(done.numUpdatedRows)
  }
  return count
}

/**
 * Removes files that belong to no image and no living transfer. `minAgeMs` spares what is between its rename into the
 * store and the commit that names it.
 */
export async function removeOrphans(platform: Platform, minAgeMs: number): Promise<number> {
  const { store, tmp, staging } = storePaths(platform)
  const owned = await ownedFiles(platform)
  let count = 0
  // A transfer has its row before it has a file, so what nobody owns in `tmp` is dead at any age.
  for (const [dir, isOwned, ageMs] of [
    [tmp, owned.tmp, 0],
    [store, owned.store, minAgeMs],
    [staging, owned.staging, minAgeMs],
  ] as const) {
    for (const name of await readdir(dir)) {
      // What we did not name is not ours to remove.
      if (!readFileName(name) || isOwned.has(name)) continue
      const path = join(dir, name)
      const facts = await stat(path).catch(() => undefined)
      if (!facts || platform.clock.now().getTime() - facts.mtimeMs < ageMs) continue
      await rm(path, { force: true })
      count++
    }
  }
  return count
}

async function ownedFiles(platform: Platform) {
  const rows = await platform.db
    .selectFrom("image.image")
    .select(["id", "data_file", "staged_file", "transfer_id"])
    .where((eb) =>
      eb.or([
        eb("data_file", "is not", null),
        eb("staged_file", "is not", null),
        eb("transfer_id", "is not", null),
      ]),
    )
    .execute()
  const transfers = rows.flatMap((row) => (row.transfer_id ? [`${row.id}.${row.transfer_id}`] : []))
  const named = (names: (string | null)[]) => new Set([...transfers, ...names.filter((n) => n !== null)])
  return {
    tmp: new Set(transfers),
    store: named(rows.map((r) => r.data_file)),
    staging: named(rows.map((r) => r.staged_file)),
  }
}

/** At start: what a dead process of this host left goes at once. */
export async function recoverTransfers(platform: Platform): Promise<void> {
  await ensureDirectories(platform)
  const requeued = await requeueDeadTransfers(platform)
  const removed = await removeOrphans(platform, platform.config.image.orphanAgeMs)
  if (requeued + removed > 0) platform.log.info({ requeued, removed }, "image transfers recovered")
}

export const transferReconciler: Reconciler = {
  name: "image.transfers",
  intervalMs: 30_000,
  timeoutMs: 60_000,
  run: async (platform) => {
    await ensureDirectories(platform)
    const requeued = await requeueDeadTransfers(platform)
    const removed = await removeOrphans(platform, platform.config.image.orphanAgeMs)
    const expiredTasks = await removeExpiredTasks(platform.db, platform.clock.now())
    return { requeued, removed, expiredTasks }
  },
}
