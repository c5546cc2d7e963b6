// Removes the data of what is deleted. A host that cannot be reached must not keep anybody from deleting: what it has
// then is noted, and goes when it is back.
import type { Fence } from "../../agent/protocol.ts"
import { type WithLog, withLog } from "../../engine/saga/saga.ts"
import type { Platform } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { callAgent, unlessOvertaken } from "../agent-call.ts"
import type { Place } from "../pool/place.ts"
import { isPlaceReachable } from "../pool/reachable.ts"

/** Repeatable. For the end of a node: what it could not remove is noted with the node's log. */
export async function removeData(
  platform: Platform,
  { host, backend }: Place,
  data: { volumeId: string; fence: Fence },
  signal: AbortSignal,
): Promise<WithLog<void>> {
  const { volumeId, fence } = data
  if (await isPlaceReachable(platform, { host, backend })) {
    await unlessOvertaken(
      callAgent(platform, host, "volume.delete", { volumeId, backend, fence }, { signal }),
    )
    return withLog(async () => {})
  }
  const { generation } = fence
  return withLog((tx) => noteLeftover(tx, { host, backend }, { volumeId, generation }))
}

/** As `removeData`, of several. */
export async function removeAllData(
  platform: Platform,
  things: readonly ({ volumeId: string; fence: Fence } & Place)[],
  signal: AbortSignal,
): Promise<WithLog<void>> {
  const notes: WithLog<void>[] = []
  for (const { host, backend, ...data } of things)
    notes.push(await removeData(platform, { host, backend }, data, signal))
  return withLog(async (tx) => {
    for (const note of notes) await note.run(tx)
  })
}

/** It is removed when its host can be reached, by the reconciler. Repeatable. */
export async function noteLeftover(
  tx: Tx,
  { host, backend }: Place,
  { volumeId, generation }: { volumeId: string; generation: number },
): Promise<void> {
  await tx
    .insertInto("block_storage.leftover")
    .values({ volume_id: volumeId, host, backend, generation })
    .onConflict((on) => on.columns(["volume_id", "host"]).doUpdateSet({ backend, generation }))
    .execute()
}
