import { sql } from "kysely"
import type { Ctx } from "../../platform/context/context.ts"
import { bumpRevision, change } from "../resource/standard.ts"
import { serverGroupNotOn } from "./faults.ts"
import { resolveGroups } from "./plan.ts"

/** Adds the group (name or id) to every port of the server that filters, or takes it off. */
export async function changeServerSecurityGroup(
  ctx: Ctx,
  want: { serverId: string; group: string; change: "add" | "remove"; projectId?: string },
): Promise<void> {
  const projectId = want.projectId ?? ctx.caller.projectId ?? ""
  const [groupId] = await resolveGroups(ctx, projectId, [want.group])
  await change(ctx, async (tx) => {
    const { rows } =
      want.change === "add"
        ? await sql<{ id: string }>`insert into network.port_security_group (port_id, security_group_id)
            select p.id, ${groupId}::uuid from network.port p
            where p.server_id = ${want.serverId} and p.is_port_security_enabled
            on conflict do nothing returning port_id as id`.execute(tx)
        : await sql<{ id: string }>`delete from network.port_security_group x using network.port p
            where p.id = x.port_id and p.server_id = ${want.serverId} and x.security_group_id = ${groupId}
            returning x.port_id as id`.execute(tx)
    if (want.change === "remove" && rows.length === 0) throw serverGroupNotOn(want.group, want.serverId)
    await bumpRevision(
      tx,
      "port",
      rows.map((row) => row.id),
    )
  })
}
