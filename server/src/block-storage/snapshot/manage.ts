// A snapshot of data that are there already, beside the volume that it is said to be of.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { loadThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { quotaExceeded } from "../../quota/index.ts"
import { hostUnavailable, inputInvalid, volumeInvalid, volumeNotFound } from "../faults.ts"
import { checkMetadata } from "../metadata.ts"
import { dataNamed, usablePool } from "../pool/manageable.ts"
import { enforceTypeQuota } from "../quota/of-types.ts"
import { targetOf, viewerOf } from "../viewer.ts"
import { refuseEncrypted } from "../volume/key.ts"
import { lockVolume } from "../volume/store.ts"
import { actorOf } from "../volume/task.ts"
import { volumeNoun } from "../volume/volume.ts"
import { insertSnapshotRow, placeToSnapshot } from "./insert.ts"
import { manageSnapshotSaga } from "./manage.saga.ts"
import { notifySnapshot } from "./notification.ts"

const nullableText = Type.Union([Type.String({ maxLength: 255 }), Type.Null()])

export const manageSnapshot = operation({
  name: "block_storage.snapshot.manage",
  input: Type.Object({
    volumeId: Type.String(),
    /** Of the data. */
    dataName: Type.String({ maxLength: 255 }),
    name: nullableText,
    description: nullableText,
    metadata: Type.Record(Type.String(), Type.String()),
  }),
  faults: [hostUnavailable, volumeNotFound, volumeInvalid, inputInvalid, quotaExceeded],
  load: (ctx, { volumeId }) => loadThing(ctx.db, volumeNoun, viewerOf(ctx), volumeId),
  rule: "snapshot_extension:snapshot_manage",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { volumeId, dataName, name, description, metadata }, seen) => {
    const { host, backend } = seen
    checkMetadata(metadata)
    refuseEncrypted(seen, "data that lie beside it were not made with its key")
    if (host === null || backend === null) throw volumeInvalid(`Volume ${volumeId} has no data yet.`)
    const pool = await usablePool(ctx, ctx.db, `${host}@${backend}`)
    const { sizeGib } = await dataNamed(ctx, pool, dataName)
    return await transact(ctx.db, async (tx) => {
      const volume = await lockVolume(tx, volumeId)
      if (!volume) throw volumeNotFound(volumeId)
      const { projectId, volumeTypeId: typeId } = volume
      const place = placeToSnapshot(volume, ["available", "in-use"])
      // The data are where the volume was when they were looked at.
      if (place.host !== host || place.backend !== backend)
        throw volumeInvalid(`Volume ${volumeId} has been moved meanwhile; ask again.`)
      if (sizeGib > volume.sizeGib)
        throw inputInvalid(`ref: ${dataName} has ${sizeGib}GB, and its volume is of ${volume.sizeGib}GB.`)
      await enforceTypeQuota(ctx, tx, { projectId, typeId, add: { snapshots: 1, gigabytes: sizeGib } })
      const row = { ...place, volumeId, projectId, name, description, sizeGib, metadata }
      const made = await insertSnapshotRow(ctx, tx, row)
      const actor = actorOf(ctx)
      await notifySnapshot(ctx, tx, made, "manage_existing.start", actor)
      const params = { snapshotId: made.id, generation: made.generation, ...actor, dataName }
      await ctx.sagas.start(tx, manageSnapshotSaga, params, { requestId: ctx.requestId, resourceId: made.id })
      return made
    })
  },
})
