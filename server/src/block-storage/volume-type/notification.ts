import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { VolumeType } from "./volume-type.ts"

export async function notifyType(
  ctx: Ctx,
  tx: Tx,
  event: "create" | "update" | "delete",
  type: VolumeType,
): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `volume_type.${event}`,
    publisher: "volume",
    projectId: ctx.caller.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: type.id,
    payload: {
      volume_types: { id: type.id, name: type.name, is_public: type.isPublic, extra_specs: type.extraSpecs },
    },
  })
}

/** In Cinder's words, which has none for a deletion. */
export async function notifyTypeEncryption(
  ctx: Ctx,
  tx: Tx,
  event: "create" | "update" | "delete",
  payload: { type_id: string; id?: string; specs?: Readonly<Record<string, string | number | null>> },
): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `volume_type_encryption.${event}`,
    publisher: "volumeTypeEncryption",
    projectId: ctx.caller.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: payload.type_id,
    payload,
  })
}
