// A new server that asks for a group: looked at in the request, held and counted when the server's row is made.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { enforceQuota } from "../../quota/index.ts"
import { computeQuota } from "../quota/resources.ts"
import { serverGroupUnusable } from "./faults.ts"
import { findServerGroup, holdServerGroup } from "./store.ts"

/** The id of the group that the hint names. Only the caller's own project may fill it. */
export async function usableServerGroup(ctx: Ctx, hint: string): Promise<string> {
  const group = await findServerGroup(ctx.db, hint)
  if (!group || group.projectId !== ctx.caller.projectId) throw serverGroupUnusable(hint)
  return group.id
}

/** Takes places for `count` new servers; call it in the transaction that inserts them. */
export async function joinServerGroup(
  ctx: Ctx,
  tx: Tx,
  request: { serverGroupId: string; projectId: string; userId: string; count: number },
): Promise<void> {
  const { serverGroupId, projectId, userId, count } = request
  if (!(await holdServerGroup(tx, serverGroupId))) throw serverGroupUnusable(serverGroupId)
  const add = { server_group_members: { add: count, of: serverGroupId } }
  await enforceQuota(ctx, tx, computeQuota, { projectId, userId, add })
}
