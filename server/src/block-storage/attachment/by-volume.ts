// The old calls, on the volume and one step at a time; their attachments are the same.
import { Type } from "typebox"
import { transact } from "../../platform/db/database.ts"
import { operation } from "../../platform/operation/operation.ts"
import { endForeignHold } from "../connection/foreign-hold.ts"
import { attachmentNotFound, attachmentOfServer, volumeInvalid, volumeNotFound } from "../faults.ts"
import { targetOf } from "../viewer.ts"
import { notifyVolume } from "../volume/notification.ts"
import { visibleVolume } from "../volume/read.ts"
import { volumeRules } from "../volume/state.ts"
import { noteReleasedOnTheWay, setVolumeStatus } from "../volume/store.ts"
import { actorOf, claimByRule, claimVolume } from "../volume/task.ts"
import {
  checkForeign,
  hold,
  isAlone,
  letGo,
  lockAttachment,
  lockAttachments,
  lockForeignAttachments,
  statusWithout,
} from "./hold.ts"
import { statusByAttachments } from "./shared.ts"

/** Whatever the volume is said to be. */
export const forceDetachByApi = operation({
  name: "block_storage.volume.force_detach",
  input: Type.Object({ id: Type.String(), attachmentId: Type.Union([Type.String(), Type.Null()]) }),
  faults: [volumeNotFound, volumeInvalid, attachmentNotFound, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_admin_actions:force_detach",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, attachmentId }) => {
    await transact(ctx.db, async (tx) => {
      const attachment = await lockAttachment(tx, id, attachmentId)
      if (!attachment) throw attachmentNotFound(attachmentId ?? `of volume ${id}`)
      await tx.deleteFrom("block_storage.attachment").where("id", "=", attachment.id).execute()
      const status = (await statusByAttachments(tx, id)) ?? "available"
      const volume = (await setVolumeStatus(tx, id, status)) ?? (await noteReleasedOnTheWay(tx, id))
      if (volume) await notifyVolume(ctx, tx, volume, "detach.end", actorOf(ctx))
    })
  },
})

const VolumeId = Type.Object({ id: Type.String() })

/** The old calls, one step at a time; their attachments are the same. */
export const reserveByApi = operation({
  name: "block_storage.volume.reserve",
  input: VolumeId,
  faults: [volumeNotFound, volumeInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:reserve",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const alone = (await lockAttachments(tx, id)).find(isAlone)
      if (alone) checkForeign(alone)
      // An administrator may have said that it is available.
      if (alone) throw volumeInvalid(`Volume ${id} has an attachment already.`)
      await claimVolume(tx, id, "reserveOld")
    })
  },
})

export const unreserveByApi = operation({
  name: "block_storage.volume.unreserve",
  input: VolumeId,
  faults: [volumeNotFound, volumeInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:unreserve",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      const alone = (await lockAttachments(tx, id)).find(isAlone)
      if (alone) checkForeign(alone)
      await tx
        .deleteFrom("block_storage.attachment")
        .where("volume_id", "=", id)
        .where("is_of_server", "=", false)
        .where(({ eb, or }) =>
          or([eb("is_shared", "=", false), eb("status", "in", ["reserved", "attaching"])]),
        )
        .execute()
      const to = await statusWithout(tx, id)
      await claimByRule(tx, id, { ...volumeRules.unreserve, to })
    })
  },
})

export const attachByApi = operation({
  name: "block_storage.volume.attach",
  input: Type.Object({
    id: Type.String(),
    serverId: Type.Union([Type.String(), Type.Null()]),
    host: Type.Union([Type.String({ maxLength: 255 }), Type.Null()]),
    device: Type.String({ maxLength: 255 }),
    mode: Type.Union([Type.Literal("rw"), Type.Literal("ro")]),
  }),
  faults: [volumeNotFound, volumeInvalid],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:attach",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, ...holder }, volume) => {
    if (volume.isReadOnly && holder.mode === "rw")
      throw volumeInvalid(`Volume ${id} is read-only: attach it with mode ro.`)
    await transact(ctx.db, async (tx) => {
      await hold(ctx, tx, id, "attach", { ...holder, connector: null, status: "attached" })
    })
  },
})

export const beginDetachByApi = operation({
  name: "block_storage.volume.begin_detaching",
  input: VolumeId,
  faults: [volumeNotFound, volumeInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:begin_detaching",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      await lockForeignAttachments(tx, id)
      await claimVolume(tx, id, "beginDetach")
    })
  },
})

export const rollDetachByApi = operation({
  name: "block_storage.volume.roll_detaching",
  input: VolumeId,
  faults: [volumeNotFound, volumeInvalid, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:roll_detaching",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id }) => {
    await transact(ctx.db, async (tx) => {
      await lockForeignAttachments(tx, id)
      await claimVolume(tx, id, "rollDetach")
    })
  },
})

export const detachByApi = operation({
  name: "block_storage.volume.detach",
  input: Type.Object({ id: Type.String(), attachmentId: Type.Union([Type.String(), Type.Null()]) }),
  faults: [volumeNotFound, volumeInvalid, attachmentNotFound, attachmentOfServer],
  load: (ctx, { id }) => visibleVolume(ctx, id),
  rule: "volume_extension:volume_actions:detach",
  target: (_ctx, _input, volume) => targetOf(volume),
  run: async (ctx, { id, attachmentId }, volume) => {
    await transact(ctx.db, async (tx) => {
      const attachment = await lockAttachment(tx, id, attachmentId)
      if (attachmentId !== null && !attachment) throw attachmentNotFound(attachmentId)
      if (attachment) return await letGo(ctx, tx, attachment)
      // Of one that nobody has any more.
      if (volume.status === "available") return
      await claimVolume(tx, id, "detach")
      await endForeignHold(tx, id)
    })
  },
})
