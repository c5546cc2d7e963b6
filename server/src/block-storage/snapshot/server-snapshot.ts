// Snapshots of the volumes of a server that an image is made of: begun with the request, waited for, and taken back
// when the image does not come about.
import type { Ctx, Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { snapshotInvalid, snapshotNotFound } from "../faults.ts"
import type { Actor } from "../volume/notification.ts"
import { insertSnapshot } from "./create.ts"
import { deleteSnapshotSaga } from "./delete.saga.ts"
import type { Snapshot } from "./snapshot.ts"
import { claimSnapshot, selectSnapshot } from "./store.ts"

/** As the caller's own creation, in use or not. Throws what that throws. */
export async function createServerSnapshot(
  ctx: Ctx,
  tx: Tx,
  asked: { volumeId: string; projectId: string; name: string; description: string | null },
): Promise<Snapshot> {
  const { projectId, ...snapshot } = asked
  ctx.policy.enforce(ctx.caller, "volume:create_snapshot", { project_id: projectId })
  return await insertSnapshot(ctx, tx, { ...snapshot, metadata: {}, mayBeInUse: true })
}

const askEveryMs = 250

/** Until it is there: throws with the reason when it failed or went. Ends with the signal. */
export async function awaitSnapshot(platform: Platform, id: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    const snapshot = await selectSnapshot(platform.db, id)
    if (!snapshot) throw snapshotNotFound(id)
    if (snapshot.status === "available") return
    if (snapshot.status !== "creating")
      throw snapshotInvalid(`Snapshot ${id} is ${snapshot.status}: ${snapshot.problem ?? "it failed"}`)
    await platform.clock.sleep(askEveryMs, signal)
  }
}

const keptStatuses = ["creating", "available", "error"] as const

/** Repeatable; what is made of it meanwhile keeps it. */
export async function takeBackSnapshot(ctx: Ctx, tx: Tx, id: string, actor: Actor): Promise<void> {
  const now = await selectSnapshot(tx, id)
  if (!now || !keptStatuses.some((status) => status === now.status)) return
  const isUsed = await tx
    .selectFrom("block_storage.volume")
    .select("id")
    .where("snapshot_id", "=", id)
    .where("status", "=", "creating")
    .executeTakeFirst()
  if (isUsed) return
  const { generation } = await claimSnapshot(tx, id, keptStatuses, "deleting")
  const { requestId, userId, projectId } = actor
  const params = { snapshotId: id, generation, requestId, userId, projectId }
  await ctx.sagas.start(tx, deleteSnapshotSaga, params, { requestId, resourceId: id })
}
