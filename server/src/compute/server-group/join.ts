// A new server that asks for a group: looked at in the request, held and counted when the server's row is made.
import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import type { Tx } from "../../platform/db/database.ts"
import { findThing } from "../../platform/noun/list.ts"
import { enforceQuota } from "../../quota/index.ts"
import { computeQuota } from "../quota/resources.ts"
import { serverGroupUnusable } from "./faults.ts"
import { serverGroupNoun } from "./server-group.ts"

/** The id of the group that the hint names. Only the caller's own project may fill it. */
export async function usableServerGroup(ctx: Ctx, hint: string): Promise<string> {
  const own = { projectId: ctx.caller.projectId, seesAll: false }
  const group = await findThing(ctx.db, serverGroupNoun, own, hint)
  if (!group) throw serverGroupUnusable(hint)
  return group.id
}

/** Takes places for `count` new servers; call it in the transaction that inserts them. */
export async function joinServerGroup(
  ctx: Ctx,
  tx: Tx,
  request: { serverGroupId: string; projectId: string; userId: string; count: number },
): Promise<void> {
  const { serverGroupId, projectId, userId, count } = request
  // Held until the transaction ends, so that it is not deleted under a new member.
  const held = await sql`select from compute.server_group where id = ${serverGroupId} for key share`.execute(
    tx,
  )
  if (held.rows.length === 0) throw serverGroupUnusable(serverGroupId)
  const add = { server_group_members: { add: count, of: serverGroupId } }
  await enforceQuota(ctx, tx, computeQuota, { projectId, userId, add })
}
