import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { type Tx, transact } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { checkOneHolder } from "../attachment/shared.ts"
import { inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { enforceTypeQuota } from "../quota/of-types.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { lockVolume } from "../volume/store.ts"
import { actorOf } from "../volume/task.ts"
import { volumeNoun } from "../volume/volume.ts"
import { createSnapshotSaga } from "./create.saga.ts"
import { insertSnapshotRow, placeToSnapshot } from "./insert.ts"
import { notifySnapshot } from "./notification.ts"
import type { Snapshot } from "./snapshot.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

const CreateSnapshot = Type.Object({
  volumeId: Type.String(),
  name: nullableText,
  description: nullableText,
  metadata: Type.Record(Type.String(), Type.String()),
  /** Also of a volume that a server has: what is written then and not flushed may be missing. */
  mayBeInUse: Type.Boolean(),
})

export const createSnapshot = operation({
  name: "block_storage.snapshot.create",
  input: CreateSnapshot,
  faults: [volumeNotFound, volumeInvalid, inputInvalid, quotaExceeded],
  load: (ctx, { volumeId }) => loadThing(ctx.db, volumeNoun, viewerOf(ctx), volumeId),
  rule: "volume:create_snapshot",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, input) => {
    checkMetadata(input.metadata)
    return await transact(ctx.db, (tx) => insertSnapshot(ctx, tx, input))
  },
})

type NewSnapshot = Type.Static<typeof CreateSnapshot>

/** The row, its saga, the event and the look at the quota: one transaction. */
export async function insertSnapshot(ctx: Ctx, tx: Tx, asked: NewSnapshot): Promise<Snapshot> {
  const { volumeId, name, description, metadata, mayBeInUse } = asked
  const volume = await lockVolume(tx, volumeId)
  if (!volume) throw volumeNotFound(volumeId)
  const { projectId, sizeGib } = volume
  const place = placeToSnapshot(volume, mayBeInUse ? ["available", "in-use"] : ["available"])
  await checkOneHolder(tx, volume)
  const add = { snapshots: 1, gigabytes: sizeGib }
  await enforceTypeQuota(ctx, tx, { projectId, typeId: volume.volumeTypeId, add })
  const row = { ...place, volumeId, projectId, name, description, sizeGib, metadata }
  const made = await insertSnapshotRow(ctx, tx, row)
  const actor = actorOf(ctx)
  await notifySnapshot(ctx, tx, made, "create.start", actor)
  const params = { snapshotId: made.id, generation: made.generation, ...actor }
  await ctx.sagas.start(tx, createSnapshotSaga, params, { requestId: ctx.requestId, resourceId: made.id })
  return made
}
