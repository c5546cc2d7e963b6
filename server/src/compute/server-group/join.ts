// A new server that asks for a group: looked at in the request, held and counted when the server's row is made.
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { enforceQuota } from "../../quota/index.ts"
import { enforceUserQuota } from "../quota/user-quota.ts"
import { serverGroupUnusable } from "./faults.ts"
import { countMembers, findServerGroup, holdServerGroup } from "./store.ts"

/** The id of the group that the hint names. Only the caller's own project may fill it. */
export async function usableServerGroup(ctx: Ctx, hint: string): Promise<string> {
  const group = await findServerGroup(ctx.db, hint)
  if (!group || group.projectId !== ctx.caller.projectId) throw serverGroupUnusable(hint)
  return group.id
}

/** Takes places for `count` new servers; call it in the transaction that inserts them. */
export async function joinServerGroup(
  tx: Tx,
  request: { serverGroupId: string; projectId: string; userId: string; count: number },
): Promise<void> {
  const { serverGroupId, projectId, count } = request
  if (!(await holdServerGroup(tx, serverGroupId))) throw serverGroupUnusable(serverGroupId)
  const used = () => countMembers(tx, serverGroupId)
  await enforceQuota(tx, {
    projectId,
    service: "compute",
    wanted: { server_group_members: { add: count, used } },
  })
  await enforceUserQuota(tx, request, { server_group_members: { add: count, used } })
}
