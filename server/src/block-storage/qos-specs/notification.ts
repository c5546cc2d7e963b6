import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import type { QosSpecs } from "./qos-specs.ts"

type QosEvent =
  | "create"
  | "update"
  | "delete"
  | "delete_keys"
  | "associate"
  | "disassociate"
  | "disassociate_all"

export async function notifyQosSpecs(
  ctx: Ctx,
  tx: Tx,
  event: QosEvent,
  { id, name, consumer, specs }: QosSpecs,
  more: { type_id?: string } = {},
): Promise<void> {
  await ctx.outbox.append(tx, {
    type: `qos_specs.${event}`,
    publisher: "QoSSpecs",
    projectId: ctx.caller.projectId,
    userId: ctx.caller.userId,
    requestId: ctx.requestId,
    resourceId: id,
    payload: { id, name, consumer, specs, ...more },
  })
}
