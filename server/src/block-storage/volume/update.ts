// What users change of a volume that takes no time.
import { Type } from "typebox"
import type { Ctx } from "../../platform/context/context.ts"
import { jsonb, transact } from "../../platform/db/database.ts"
import { updateThing } from "../../platform/noun/list.ts"
import { operation } from "../../platform/operation/operation.ts"
import { inputInvalid, metadataKeyNotFound, volumeInvalid, volumeNotFound } from "../faults.ts"
import { checkMetadata, type Metadata, metadataVerbs, withoutItem } from "../metadata.ts"
import { everything, targetOf } from "../viewer.ts"
import { notifyVolume } from "./notification.ts"
import { visibleVolume } from "./read.ts"
import { lockVolume } from "./store.ts"
import { actorOf } from "./task.ts"
import { volumeNoun } from "./volume.ts"

const Id = Type.Object({ id: Type.String() })

export const updateVolume = operation({
  name: "block_storage.volume.update",
  input: Type.Object({
    id: Type.String(),
    changes: volumeNoun.changes,
    metadata: Type.Union([Type.Record(Type.String(), Type.String()), Type.Null()]),
  }),
  faults: [volumeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume:update",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, changes, metadata }) => {
    if (metadata) checkMetadata(metadata)
    return await transact(ctx.db, async (tx) => {
      const changed = await updateThing(tx, volumeNoun, everything, id, {
        name: changes.name,
        description: changes.description,
        metadata: metadata ? jsonb(metadata) : undefined,
        updated_at: ctx.clock.now(),
      })
      if (!changed) throw volumeNotFound(id)
      await notifyVolume(ctx, tx, changed, "update.end", actorOf(ctx))
      return changed
    })
  },
})

export const volumeMetadata = metadataVerbs(volumeNoun, {
  visible: visibleVolume,
  word: "Volume",
  rules: {
    create: "volume:create_volume_metadata",
    update: "volume:update_volume_metadata",
    delete: "volume:delete_volume_metadata",
  },
  faults: [volumeNotFound],
})

export const setBootable = operation({
  name: "block_storage.volume.set_bootable",
  input: Type.Object({ id: Type.String(), isBootable: Type.Boolean() }),
  faults: [volumeNotFound],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume:update",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, isBootable }) => {
    await updateThing(ctx.db, volumeNoun, everything, id, {
      is_bootable: isBootable,
      updated_at: ctx.clock.now(),
    })
  },
})

/** From the next attachment on. */
export const setReadOnly = operation({
  name: "block_storage.volume.set_read_only",
  input: Type.Object({ id: Type.String(), isReadOnly: Type.Boolean() }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume:update_readonly_flag",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, isReadOnly }) => {
    await transact(ctx.db, async (tx) => {
      const volume = await lockVolume(tx, id)
      if (!volume) throw volumeNotFound(id)
      if (volume.status !== "available")
        throw volumeInvalid(
          `Volume ${id} status must be available to update readonly flag, but current status is: ${volume.status}.`,
        )
      const values = { is_read_only: isReadOnly, updated_at: ctx.clock.now() }
      await updateThing(tx, volumeNoun, everything, id, values)
    })
  },
})

export const showImageMetadata = operation({
  name: "block_storage.volume.get_image_metadata",
  input: Id,
  faults: [volumeNotFound],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_image_metadata:show",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (_ctx, _input, volume) => volume.imageMetadata ?? {},
})

export const setImageMetadata = operation({
  name: "block_storage.volume.set_image_metadata",
  input: Type.Object({ id: Type.String(), metadata: Type.Record(Type.String(), Type.String()) }),
  faults: [volumeNotFound, inputInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_image_metadata:set",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, metadata }) => {
    return await changeImageMetadata(ctx, id, (now) => {
      const next = { ...now, ...metadata }
      checkMetadata(next)
      return next
    })
  },
})

export const removeImageMetadata = operation({
  name: "block_storage.volume.remove_image_metadata",
  input: Type.Object({ id: Type.String(), key: Type.String() }),
  faults: [volumeNotFound, metadataKeyNotFound],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_image_metadata:remove",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, key }) => {
    await changeImageMetadata(ctx, id, (now) =>
      withoutItem(now, key, () => metadataKeyNotFound("Volume", id, key)),
    )
  },
})

async function changeImageMetadata(
  ctx: Ctx,
  id: string,
  change: (now: Metadata) => Metadata,
): Promise<Metadata> {
  return await transact(ctx.db, async (tx) => {
    const locked = await updateThing(tx, volumeNoun, everything, id, { updated_at: ctx.clock.now() })
    if (!locked) throw volumeNotFound(id)
    const next = change(locked.imageMetadata ?? {})
    const kept = Object.keys(next).length > 0 ? jsonb(next) : null
    await updateThing(tx, volumeNoun, everything, id, { image_metadata: kept })
    return next
  })
}
