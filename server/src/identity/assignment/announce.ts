import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { auditChange } from "../audit/audit.ts"
import { accountUser, cadfEvent, initiatorOf } from "../audit/cadf.ts"
import type { Grant } from "./holder.ts"

/** Keystone tells of role assignments as CADF only, with their parts beside the usual ones. */
export async function announceGrant(
  ctx: Ctx,
  tx: Tx,
  kind: "created" | "deleted",
  grant: Grant,
): Promise<void> {
  const { actorKind, actorId, targetKind, targetId, isInherited, roleId } = grant
  const event = cadfEvent(ctx.clock.now(), {
    action: `${kind}.role_assignment`,
    outcome: "success",
    initiator: initiatorOf(ctx),
    target: { typeURI: accountUser, id: actorId },
    observerId: ctx.drivers.identity.audit.observerId,
    more: {
      [actorKind]: actorId,
      [targetKind]: targetId ?? "all",
      role: roleId,
      inherited_to_projects: isInherited,
    },
  })
  await auditChange(ctx, tx, `identity.role_assignment.${kind}`, event, null)
}
